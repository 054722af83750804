import { CheckpointError, type CheckpointWriter, createWriter, type WritePlan } from "@safedelta/checkpoint";
import { PipelineError } from "./errors.ts";
import type { OpenedModel } from "./models.ts";

/** A writer of a model folder. @throws PipelineError `usage` when unfinished work of another run is in the way */
export async function openWriter(out: string, plan: WritePlan): Promise<CheckpointWriter> {
  try {
    return await createWriter(out, plan);
  } catch (error) {
    if (!(error instanceof CheckpointError) || error.kind !== "incompatible") throw error;
    throw new PipelineError("usage", error.message, error);
  }
}

/** A model's config, tokenizer, template, generation settings and licence, verbatim; the model card is an output's own. */
export async function companionFiles({ checkpoint }: OpenedModel): Promise<Map<string, Uint8Array>> {
  const companions = [...checkpoint.companions].filter(([name]) => name !== "README.md");
  const read = companions.map(async ([name, file]) => [name, await file.bytes()] as const);
  return new Map(await Promise.all(read));
}
