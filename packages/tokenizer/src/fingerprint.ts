import { createHash } from "node:crypto";
import type { Tokenizer, TokenizerPart } from "./tokenizer.ts";

/**
 * SHA-256 in hex of the vocabulary (ids and tokens), of the chat template, or of both. Equal for two models whose ids, or
 * prompts, mean the same.
 */
export function fingerprint(tokenizer: Tokenizer, part?: TokenizerPart): string {
  return createHash("sha256").update(tokenizer.canonical(part)).digest("hex");
}
