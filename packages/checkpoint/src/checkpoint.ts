import type { Adapter } from "./adapter.ts";
import type { Companion } from "./companions.ts";
import type { JsonObject } from "./json-file.ts";
import type { TensorSource } from "./shards.ts";

/** A model opened for reading: its tensors under Hugging Face names, its configuration and the files beside the weights. */
export interface Checkpoint extends TensorSource {
  /** As the user spelled it. */
  readonly spec: string;
  readonly kind: "folder" | "gguf" | "hub" | "adapted";
  /** config.json, unknown keys included; made up from the header for GGUF. */
  readonly config: JsonObject;
  /** File name -> verbatim bytes: tokenizer files, chat template, config.json, generation_config.json, licences, model card. */
  readonly companions: ReadonlyMap<string, Companion>;
  /** The outermost LoRA adapter, when there is one. */
  readonly adapter?: Adapter;
  /** What that adapter lies on. */
  readonly base?: Checkpoint;
}
