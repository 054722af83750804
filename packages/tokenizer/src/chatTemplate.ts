import { Environment, Interpreter, Template } from "@huggingface/jinja";
import { TokenizerError } from "./errors.ts";
import { decodeUtf8, isObject, type JsonObject } from "./files.ts";
import type { SpecialTokens } from "./specialTokens.ts";
import { strftime } from "./strftime.ts";

/** One turn of a conversation; roles are those the chat template knows, usually system, user, assistant. */
export interface Message {
  role: string;
  content: string;
}

/** How to render a conversation. */
export interface ChatOptions {
  /** Append what precedes an answer, so that the model goes on with one. */
  readonly addGenerationPrompt: boolean;
  /** The day the template takes for today, YYYY-MM-DD; `defaultDate` unless given, never the clock. */
  readonly date?: string;
}

/** Today for templates that ask: the date Llama 3's templates take when they have no clock ("26 Jul 2024"). */
export const defaultDate = "2024-07-26";

/**
 * The source of the chat template, if there is one: chat_template.jinja, else `chat_template` of tokenizer_config.json, which
 * is a string or a list of {name, template} of which "default" is taken.
 * @throws TokenizerError when there are named templates but no default
 */
export function chatTemplateSource(file: Uint8Array | undefined, config: JsonObject): string | undefined {
  if (file !== undefined) return decodeUtf8(file, "chat_template.jinja");
  const inConfig = config.chat_template;
  if (inConfig === undefined || inConfig === null) return undefined;
  if (typeof inConfig === "string") return inConfig;
  if (Array.isArray(inConfig)) return defaultTemplate(inConfig);
  throw new TokenizerError("chat_template in tokenizer_config.json is neither a string nor a list of named templates.");
}

function defaultTemplate(templates: readonly unknown[]): string {
  const named = templates.filter(isObject);
  const template = named.find(({ name }) => name === "default")?.template;
  if (typeof template === "string") return template;
  const names = named.map(({ name }) => String(name)).join(", ");
  throw new TokenizerError(`tokenizer_config.json names chat templates (${names}), none of them "default".`);
}

/** A function from a conversation to text. */
export type RenderChat = (messages: readonly Message[], options: ChatOptions) => string;

/**
 * The function that renders through this template, which is parsed at its first use. Follows transformers' apply_chat_template:
 * trim_blocks and lstrip_blocks on; variables messages, add_generation_prompt, tools and documents (none), the special
 * tokens; raise_exception and strftime_now. Rendering throws TokenizerError when the template cannot be parsed or refuses the
 * messages. Known differences, both the library's: a bare truth value prints as true, not True; `strip` and `trim` take
 * U+FEFF for a blank, and not U+001C..1F and U+0085.
 */
export function chatRenderer(source: string, specialTokens: SpecialTokens): RenderChat {
  let template: Template | undefined;
  return (messages, { addGenerationPrompt, date = defaultDate }) => {
    template ??= explain("The chat template cannot be read", () => new Template(source));
    const environment = new Environment();
    const variables = {
      ...globals,
      ...specialTokens,
      strftime_now: (format: string) => strftime(date, format),
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: addGenerationPrompt,
    };
    for (const [name, value] of Object.entries(variables)) if (value !== undefined) environment.set(name, value);
    const { parsed } = template;
    return explain("The chat template does not take these messages", () =>
      String(new Interpreter(environment).run(parsed).value),
    );
  };
}

/** Set here because `Template.render` brings its own clock, which cannot be replaced. */
const globals = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  tools: null,
  documents: null,
  raise_exception: (message: string): never => {
    throw new Error(message);
  },
  range: (start: number, stop?: number, step = 1): number[] => {
    if (stop === undefined) return Array.from({ length: Math.max(0, start) }, (_, i) => i);
    return Array.from({ length: Math.max(0, Math.ceil((stop - start) / step)) }, (_, i) => start + i * step);
  },
};

function explain<T>(what: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof TokenizerError) throw error;
    throw new TokenizerError(`${what}: ${(error as Error).message}`);
  }
}
