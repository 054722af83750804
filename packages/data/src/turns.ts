import { choicesOf, multipleChoice } from "./choices.ts";
import type { Columns } from "./columns.ts";
import type { Message } from "./example.ts";
import { fail, kindOf, type Place } from "./place.ts";

/** Names of the speakers in ShareGPT-like files, and the roles they stand for. */
const roles: Readonly<Record<string, string>> = {
  system: "system",
  user: "user",
  human: "user",
  assistant: "assistant",
  gpt: "assistant",
  chatgpt: "assistant",
  model: "assistant",
};

/** The conversation of a record; `between` stands between an instruction and its input. @throws DataError when a value is missing or no text, a role unknown, a prompt blank */
export function messagesOf(place: Place, columns: Columns, between = "\n\n"): Message[] {
  const messages = columns.turns === undefined ? fromFields(place, columns, between) : fromTurns(place, columns.turns);
  const system = columns.system === undefined ? undefined : optionalText(place, columns.system);
  if (system === undefined || system === "") return messages;
  if (messages.some(({ role }) => role === "system")) throw fail(place, "has a system column and a system message.");
  return [{ role: "system", content: system }, ...messages];
}

/** The text in a column, undefined where it is absent or null. @throws DataError when it is something else */
export function optionalText(place: Place, column: string): string | undefined {
  const value = place.values[column];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  const advice = typeof value === "number" ? " Write it in quotes." : "";
  throw fail(place, `"${column}" must be text, is ${kindOf(value)}.${advice}`);
}

/** As `optionalText`; a number becomes the shortest text for it (1.50 and 1e3 become 1.5 and 1000). @throws DataError for one of more digits than JSON keeps, too */
export function optionalTextOrNumber(place: Place, column: string): string | undefined {
  const value = place.values[column];
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "number") return optionalText(place, column);
  if (Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))) return String(value);
  throw fail(place, `"${column}" is ${value}, a number that is not kept to the digit. Write it as text, in quotes.`);
}

function text(place: Place, column: string): string {
  const value = optionalText(place, column);
  if (value === undefined) throw fail(place, `"${column}" is missing.`);
  return value;
}

/** The input beside an instruction (Alpaca's); undefined where there is none. @throws DataError when it is no text */
export function inputOf(place: Place, { turns, choices, input }: Columns): string | undefined {
  if (turns !== undefined || choices !== undefined || input === undefined) return undefined;
  return optionalText(place, input) || undefined;
}

function fromFields(place: Place, columns: Columns, between: string): Message[] {
  const { prompt, answer, choices, subject } = columns;
  if (prompt === undefined) throw fail(place, "has no prompt.");
  const asked = text(place, prompt);
  if (asked.trim() === "") throw fail(place, `"${prompt}" is blank.`);
  if (choices !== undefined) {
    const about = subject === undefined ? undefined : optionalText(place, subject);
    return [{ role: "user", content: multipleChoice(asked, choicesOf(place, choices), about) }];
  }
  const input = inputOf(place, columns);
  const user = { role: "user", content: input === undefined ? asked : `${asked}${between}${input}` };
  return answer === undefined ? [user] : [user, { role: "assistant", content: text(place, answer) }];
}

function fromTurns(place: Place, column: string): Message[] {
  const turns = place.values[column];
  if (!Array.isArray(turns)) throw fail(place, `"${column}" must be a list of turns, is ${kindOf(turns)}.`);
  if (turns.length === 0) throw fail(place, `"${column}" is empty.`);
  const isAsked = column === "turns" && turns.every((turn) => typeof turn === "string");
  return turns.map((turn, i) =>
    isAsked ? fromUser(place, `${column}[${i}]`, turn) : fromTurn(place, `${column}[${i}]`, turn),
  );
}

/** MT-Bench's turns: what the user says, one after the other. */
function fromUser(place: Place, where: string, content: string): Message {
  if (content.trim() === "") throw fail(place, `${where} is blank.`);
  return { role: "user", content };
}

/** `{ role, content }`, or ShareGPT's `{ from, value }`. */
function fromTurn(place: Place, where: string, turn: unknown): Message {
  if (typeof turn !== "object" || turn === null) throw fail(place, `${where} must be an object, is ${kindOf(turn)}.`);
  const { role, content, from, value } = turn as Record<string, unknown>;
  const speaker = role ?? from;
  const said = content ?? value;
  if (typeof said !== "string")
    throw fail(place, `${where} needs "content" (or "value") as text, has ${kindOf(said)}.`);
  if (typeof speaker === "string" && Object.hasOwn(roles, speaker)) return { role: roles[speaker], content: said };
  throw fail(
    place,
    `${where} needs "role" (or "from"), one of ${Object.keys(roles).join(", ")}; has ${JSON.stringify(speaker)}.`,
  );
}
