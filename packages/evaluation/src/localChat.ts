import { createHash } from "node:crypto";
import { generate, type Model, stopIdsOf } from "@safedelta/model";
import type { Tokenizer } from "@safedelta/tokenizer";
import type { ChatModel } from "./chat.ts";

/** How a local model is run. */
export interface LocalChatOptions {
  /** Conversations answered at the same time; the caches' memory grows with it. `generate`'s default unless given. */
  readonly batchSize?: number;
}

/** The part of a tokenizer that a conversation needs. */
type ChatTokenizer = Pick<Tokenizer, "encodeChat" | "decode" | "eosIds">;

/**
 * A model in engine memory as a chat model: chat template with the generation prompt, tokens up to an end token, greedy unless drawn, special tokens dropped. Prompts of like length run together; a prompt's answer
 * depends on its batch by rounding alone; where it is drawn, by the seed and the prompt itself. Neither model nor tokenizer is owned. `answer` throws TokenizerError and ModelError as its parts do.
 */
export function localChat(
  name: string,
  model: Model,
  tokenizer: ChatTokenizer,
  { batchSize }: LocalChatOptions = {},
): ChatModel {
  const stopIds = stopIdsOf(tokenizer, model.config);
  return {
    name,
    answer: async (prompts, { maxNewTokens, drawing }) => {
      const ids = prompts.map((messages) => tokenizer.encodeChat(messages, { addGenerationPrompt: true }));
      const order = [...ids.keys()].sort((a, b) => ids[a].length - ids[b].length);
      const roomOf = (i: number) => Math.max(1, Math.min(maxNewTokens, model.config.maxPositions - ids[i].length));
      const texts = new Array<string>(ids.length);
      for (const [room, places] of Map.groupBy(order, roomOf)) {
        const asked = places.map((i) => ids[i]);
        const streams = drawing && asked.map(streamOf);
        const answers = generate(model, asked, { maxNewTokens: room, stopIds, batchSize, ...drawing, streams });
        places.forEach((i, at) => {
          texts[i] = tokenizer.decode(answers[at], { skipSpecialTokens: true });
        });
      }
      return texts;
    },
  };
}

/** A stream of draws for a prompt: 32 bits of its hash, so that it is the same in whatever batch and order. */
function streamOf(ids: readonly number[]): number {
  return createHash("sha256").update(JSON.stringify(ids)).digest().readUInt32LE();
}
