import type { Message } from "@safedelta/data";
import { type AnswerOptions, askAll, type ChatModel } from "./chat.ts";
import type { Example } from "./metrics.ts";

/** Examples whose earlier turns are all answered, and the answers to their last ones. */
export interface Answered<E> {
  readonly examples: readonly E[];
  readonly answers: readonly string[];
}

/**
 * Answers to all examples. User turns that stand one behind the other are asked in turn, each with the answers before it
 * (MT-Bench, Zheng et al. 2023); the answers to all but the last are put into the example's messages.
 */
export async function askTurns<E extends Example>(
  chat: ChatModel,
  examples: readonly E[],
  options: AnswerOptions,
): Promise<Answered<E>> {
  const open: E[] = [...examples];
  for (;;) {
    const waiting = [...open.keys()].filter((i) => unanswered(open[i].messages) >= 0);
    if (waiting.length === 0) break;
    const heads = waiting.map((i) => open[i].messages.slice(0, unanswered(open[i].messages) + 1));
    const answers = await askAll(chat, heads, options);
    waiting.forEach((i, place) => {
      const rest = open[i].messages.slice(heads[place].length);
      open[i] = { ...open[i], messages: [...heads[place], { role: "assistant", content: answers[place] }, ...rest] };
    });
  }
  const prompts = open.map(({ messages }) => messages);
  return { examples: open, answers: await askAll(chat, prompts, options) };
}

/** Place of the first user turn that another one follows, or -1. */
function unanswered(messages: readonly Message[]): number {
  return messages.findIndex(({ role }, i) => role === "user" && messages[i + 1]?.role === "user");
}
