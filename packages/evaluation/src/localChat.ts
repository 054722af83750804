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
 * A model in engine memory as a chat model: chat template with the generation prompt, greedy tokens up to an end token, special tokens dropped. Prompts of like length run together; a prompt's answer does
 * not depend on its batch. Neither model nor tokenizer is owned. `answer` throws TokenizerError and ModelError as its parts do.
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
    answer: async (prompts, { maxNewTokens }) => {
      const ids = prompts.map((messages) => tokenizer.encodeChat(messages, { addGenerationPrompt: true }));
      const order = [...ids.keys()].sort((a, b) => ids[a].length - ids[b].length);
      const sorted = order.map((i) => ids[i]);
      const answers = generate(model, sorted, { maxNewTokens, stopIds, batchSize });
      const texts = new Array<string>(ids.length);
      order.forEach((i, place) => {
        texts[i] = tokenizer.decode(answers[place], { skipSpecialTokens: true });
      });
      return texts;
    },
  };
}
