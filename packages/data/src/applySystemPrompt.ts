import { DataError } from "./errors.ts";
import type { Example, Message } from "./example.ts";
import type { PromptTemplate } from "./systemPrompts.ts";

/**
 * The example under a system prompt: the system message first, the last user turn wrapped. Blanks are stripped as by the
 * official code, which strips system and user text as one: the end of the turn, and its start when no system text precedes it.
 * @throws DataError when the example has a system message already, or no user turn
 */
export function applySystemPrompt(example: Example, template: PromptTemplate): Example {
  const { messages, source, line, hasInput } = example;
  if (messages.some(({ role }) => role === "system")) {
    throw new DataError(source, line, `has a system message; the template "${template.name}" cannot add another.`);
  }
  const last = messages.findLastIndex(({ role }) => role === "user");
  if (last < 0) throw new DataError(source, line, `has no user turn for the template "${template.name}".`);
  const turns = messages.map((message, i) => (i === last ? wrap(message, template) : message));
  const words = hasInput && template.input ? template.input.system : template.system;
  const system = words === undefined ? [] : [{ role: "system", content: words }];
  return { ...example, messages: [...system, ...turns] };
}

/** The i-th example under template i mod their number, as the official code does after sampling. */
export function rotateSystemPrompts(examples: readonly Example[], templates: readonly PromptTemplate[]): Example[] {
  if (templates.length === 0) throw new RangeError("The rotation needs at least one template.");
  return examples.map((example, i) => applySystemPrompt(example, templates[i % templates.length]));
}

function wrap({ role, content }: Message, { system, user }: PromptTemplate): Message {
  const text = user.replace("%s", () => content).replace(trailingBlanks, "");
  return { role, content: system === undefined ? text.replace(leadingBlanks, "") : text };
}

/** What Python's `str.strip` takes for blank: unlike JavaScript's trim, U+001C..1F and U+0085 but not U+FEFF. */
const blank = "[\\t-\\r\\u001c-\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const leadingBlanks = new RegExp(`^${blank}+`);
const trailingBlanks = new RegExp(`${blank}+$`);
