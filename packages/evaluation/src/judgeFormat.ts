import type { Message } from "@safedelta/data";
import type { Example } from "./metrics.ts";
import type { Judgement } from "./scorer.ts";

/** How a judge is asked, and how its words are read. */
export interface JudgeFormat {
  readonly name: string;
  /** What its number is: of a rate 0 or 1. */
  readonly kind: "rate" | "mean";
  /** What it judges: judges of one subject are held against each other. */
  readonly subject: string;
  readonly maxNewTokens: number;
  /** Every answer of a conversation is judged, not its last one alone; the value is their mean. */
  readonly eachTurn?: boolean;
  prompt(example: Example, answer: string): Message[];
  /** undefined for what does not follow the format; never a guess. */
  parse(verdict: string): Pick<Judgement, "value" | "label"> | undefined;
}

/** All that the user said. */
export function requestOf({ messages }: Example): string {
  const said = messages.filter(({ role }) => role === "user").map(({ content }) => content);
  return said.join("\n\n");
}

/** An instruction as the system prompt, and request and answer in brackets. */
export function instructed(instruction: string) {
  return (example: Example, answer: string): Message[] => [
    { role: "system", content: instruction },
    {
      role: "user",
      content: `[REQUEST]\n${requestOf(example)}\n[END OF REQUEST]\n\n[ANSWER]\n${answer}\n[END OF ANSWER]`,
    },
  ];
}

/** The last "Word: x" of a verdict, in full on its own line. */
export function lastLabel(verdict: string, pattern: string): string | undefined {
  return [...verdict.matchAll(new RegExp(`^\\s*${pattern}\\s*$`, "gim"))].at(-1)?.[1].toLowerCase();
}
