import type { FromHost, ToHost } from "@safedelta/serving";
import type { LinearNumbers } from "../scene.ts";

/** Name of the model that the page repairs. */
export const repairedName = "repaired (live)";

/** To the worker with the WASM engine. */
export type ToWorker =
  /** Open these models. */
  | { readonly kind: "open"; readonly models: readonly string[] }
  /** Prepare the repair of `tuned`; the models are open. */
  | { readonly kind: "prepare"; readonly aligned: string; readonly tuned: string; readonly shares: readonly number[] }
  | { readonly kind: "repair"; readonly share: number }
  | { readonly kind: "host"; readonly message: ToHost };

/** What a budget gives, over all linears. */
export interface SweepPoint {
  readonly share: number;
  /** Share of the fine-tuning's safety loss that stays. */
  readonly safetyLossShare: number;
  /** Share of the fine-tuning's change that is kept: 1 − ‖D − Δ‖²/‖Δ‖². */
  readonly changeKept: number;
}

/** From that worker. */
export type FromWorker =
  | { readonly kind: "progress"; readonly text: string; readonly done: number; readonly all: number }
  | { readonly kind: "opened"; readonly engine: string }
  | { readonly kind: "prepared"; readonly sweep: readonly SweepPoint[]; readonly ms: number }
  | {
      readonly kind: "repaired";
      readonly share: number;
      readonly linears: readonly LinearNumbers[];
      readonly ms: number;
    }
  | { readonly kind: "host"; readonly message: FromHost }
  | { readonly kind: "failed"; readonly during: "open" | "prepare" | "repair"; readonly text: string };
