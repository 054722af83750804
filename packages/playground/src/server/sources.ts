import type { Checkpoint } from "@safedelta/checkpoint";
import type { HostClient } from "@safedelta/serving";
import type { Progress, Prompt, SceneModel, StoredSweep } from "../scene.ts";

/** A model with where its parts come from. */
export interface ShownModel extends SceneModel {
  /** Of kind `tensors`: open as long as the server. */
  readonly checkpoint?: Checkpoint;
  /** Of kind `mlc`: the files that may be read, by name; their paths are checked already. */
  readonly files?: ReadonlyMap<string, string>;
}

/** All that a playground shows. Nothing is read by a path that a request brings: names are looked up here. */
export interface Sources {
  readonly models: readonly ShownModel[];
  /** Token ids of the safe examples of the aligned model. */
  readonly safe?: readonly (readonly number[])[];
  /** Their models are among those above. */
  readonly sweeps: readonly StoredSweep[];
  readonly prompts: readonly Prompt[];
  readonly maxNewTokens: number;
  /** The models of kind `tensors`, in their worker. */
  readonly client: HostClient;
  readonly hostEngine: string;
  /** How far the watched work is. */
  readonly progress?: () => Promise<readonly Progress[]>;
}
