import { createHash } from "node:crypto";
import type { Opened } from "@safedelta/evaluation";
import { withSecretPrompt } from "@safedelta/pipeline";
import type { OpenChat } from "./openChat.ts";

/** A model that is tested; `opened` of one of this machine. */
export interface Tested extends OpenChat {
  readonly opened?: Opened;
}

/**
 * The same model, asked with the secret before every system prompt (BEA). Prompts and results stay as without it, so that they pair up with
 * those of other models and the secret stands in none of them; of it the identity holds the file's name and a hash.
 */
export function askSecretly({ chat, identity, opened }: Tested, secret: string, file: string): Tested {
  const sha256 = createHash("sha256").update(secret).digest("hex");
  const tokenizer = opened?.tokenizer;
  return {
    identity: { ...identity, secretPrompt: { file, sha256 } },
    chat: {
      name: chat.name,
      answer: (prompts, options) =>
        chat.answer(
          prompts.map((messages) => withSecretPrompt(messages, secret)),
          options,
        ),
    },
    opened: opened &&
      tokenizer && {
        model: opened.model,
        tokenizer: {
          decode: (ids, options) => tokenizer.decode(ids, options),
          encode: (text, options) => tokenizer.encode(text, options),
          encodeChat: (messages, options) => tokenizer.encodeChat(withSecretPrompt(messages, secret), options),
        },
      },
  };
}
