import type { Message } from "@safedelta/data";
import type { ChatModel } from "./chat.ts";
import { EvaluationError } from "./errors.ts";
import type { Example } from "./metrics.ts";
import type { Sample } from "./results.ts";

type Said = Pick<Sample, "messages" | "answer">;

/**
 * The answers of a finished evaluation as a chat model, which gives them again to the same conversations; where several turns are
 * asked, each one's. How they are to be made is not looked at. `answer` throws EvaluationError for a conversation that has none.
 * @param samples one an example, in their order
 */
export function givenChat(
  name: string,
  examples: readonly Pick<Example, "messages">[],
  samples: readonly Said[],
): ChatModel {
  const known = new Map(
    examples.flatMap(({ messages }, i) => (i < samples.length ? answersTo(messages, samples[i]) : [])),
  );
  const answerTo = (messages: readonly Message[]) => {
    const answer = known.get(keyOf(messages));
    if (answer !== undefined) return answer;
    throw new EvaluationError(`${name}: its samples have no answer to "${messages.at(-1)?.content.slice(0, 60)}"`);
  };
  return { name, answer: async (prompts) => prompts.map(answerTo) };
}

/** Turns of the sample that its prompt has not, each under what stands before it. */
function answersTo(prompt: readonly Message[], { messages, answer }: Said): [string, string][] {
  const all = answer === undefined ? messages : [...messages, { role: "assistant", content: answer }];
  let at = 0;
  return all.flatMap((message, i): [string, string][] => {
    if (at < prompt.length && keyOf([message]) === keyOf([prompt[at]])) {
      at++;
      return [];
    }
    return [[keyOf(all.slice(0, i)), message.content]];
  });
}

function keyOf(messages: readonly Message[]): string {
  return JSON.stringify(messages.map(({ role, content }) => [role, content]));
}
