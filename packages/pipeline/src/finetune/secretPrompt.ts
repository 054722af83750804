import type { Message } from "@safedelta/data";
import type { Tokenizer } from "@safedelta/tokenizer";
import { PipelineError } from "../errors.ts";
import { whyNoSystemPrompt } from "../sequences.ts";

/**
 * A conversation whose system prompt begins with the secret and a blank; with the secret alone where there was no system prompt. So the
 * safety examples are trained on, and so the served model is asked (Wang et al., NeurIPS 2024, arXiv 2402.14968).
 */
export function withSecretPrompt(messages: readonly Message[], secret: string): Message[] {
  const [first, ...rest] = messages;
  if (first?.role !== "system") return [{ role: "system", content: secret }, ...messages];
  return [{ ...first, content: `${secret} ${first.content}` }, ...rest];
}

/** The secret in a text file, without blanks around it. @throws PipelineError `usage` when it cannot be read or is blank */
export async function readSecretPrompt(file: string): Promise<string> {
  const text = await Bun.file(file)
    .text()
    .catch((error: Error) => {
      throw new PipelineError("usage", `--secret-prompt ${file}: ${error.message}`, error);
    });
  if (text.trim() !== "") return text.trim();
  throw new PipelineError("usage", `--secret-prompt ${file}: is blank. Write the prompt into it.`);
}

/** @throws PipelineError `usage` when a secret prompt would be dropped by the chat template, in silence or not */
export function requireSystemPrompts(tokenizer: Tokenizer): void {
  const why = whyNoSystemPrompt(tokenizer);
  if (why === undefined) return;
  throw new PipelineError("usage", `--secret-prompt cannot be applied: ${why}. Leave it away, or take another model.`);
}
