import { fail, kindOf, type Place } from "./place.ts";

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/**
 * A multiple-choice question as lm-evaluation-harness asks it without examples: doc_to_text of lm_eval/tasks/mmlu/default/_default_template_yaml,
 * behind the description of the subject's task, where one is named.
 */
export function multipleChoice(question: string, choices: readonly string[], subject?: string): string {
  const lines = choices.map((choice, i) => `${letters[i]}. ${choice}`);
  const about = subject?.replaceAll("_", " ");
  const first = about ? `The following are multiple choice questions (with answers) about ${about}.\n\n` : "";
  return first + [question.trim(), ...lines, "Answer:"].join("\n");
}

/** The choices of a record. @throws DataError when they are no list of 2 to 26 texts */
export function choicesOf(place: Place, column: string): string[] {
  const choices = place.values[column];
  if (!Array.isArray(choices)) throw fail(place, `"${column}" must be a list of choices, is ${kindOf(choices)}.`);
  const wrong = choices.find((choice) => typeof choice !== "string");
  if (wrong !== undefined) throw fail(place, `"${column}" must hold texts, has ${kindOf(wrong)}.`);
  if (choices.length >= 2 && choices.length <= letters.length) return choices;
  throw fail(place, `"${column}" must hold 2 to ${letters.length} choices, has ${choices.length}.`);
}

/** The letter of the right choice; in the record stands the letter, or its number from 0. @throws DataError for neither */
export function rightLetter(place: Place, column: string, nChoices: number): string {
  const value = place.values[column];
  const known = letters.slice(0, nChoices);
  const index = typeof value === "string" ? [...known].indexOf(value) : Number(value);
  const isIndex = ["string", "number", "bigint"].includes(typeof value) && known[index] !== undefined;
  if (isIndex) return known[index];
  const shown = ["string", "number", "bigint"].includes(typeof value) ? String(value) : kindOf(value);
  throw fail(place, `"${column}" must be one of ${[...known].join(", ")} or 0 to ${nChoices - 1}, is ${shown}.`);
}
