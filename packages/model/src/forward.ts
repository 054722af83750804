import type { Matrix } from "@safedelta/engine";
import { attend } from "./attend.ts";
import { ModelError } from "./error.ts";
import type { GroupName } from "./families.ts";
import type { LayerWeights, StackedLinears } from "./weights.ts";
import type { Batch } from "./workspace.ts";

/**
 * Sees what enters a group of linears (nTokens x cols), just before they run. The matrix is valid, and must not be written,
 * during the call only.
 */
export type Tap = (group: GroupName, activations: Matrix) => void;

/** Keys and values of one layer for many sequences: rows x 2·nKvHeads·headDim, each sequence from its `cacheRow` on. */
export type LayerCache = Matrix;

/**
 * What a backward pass starts from, in forward order: the layer's input, queries and keys before their head norms (only where there
 * are such), queries, keys and values as attention takes them, what attention gives, the layer's middle (input of the second norm),
 * gate and up before the activation.
 */
export type Moment = "input" | "projected" | "rotated" | "attended" | "middle" | "gateUp";

/** Sees the numbers of a moment (nTokens rows), to copy them; valid during the call only. */
export type Keep = (moment: Moment, values: Matrix) => void;

/** Adds to `out`, what the linears of a group gave (side by side) or added to, something of their `input`: a low-rank adapter. */
export type Adapt = (group: GroupName, input: Matrix, out: Matrix) => void;

export interface ForwardOptions {
  readonly tap?: Tap;
  readonly keep?: Keep;
  readonly adapt?: Adapt;
  /** Read for each segment's past, and extended by its tokens. */
  readonly cache?: LayerCache;
}

/**
 * Run one layer over a packed batch: x (nTokens x hiddenSize) holds the layer's input and is overwritten with its output.
 *   x := x + attention(rmsNorm(x)) W_oᵀ;  x := x + (act(n W_gateᵀ) ∘ n W_upᵀ) W_downᵀ with n = rmsNorm(x)
 * Source: Hugging Face transformers, `LlamaDecoderLayer` and its siblings.
 */
export function forwardLayer(batch: Batch, weights: LayerWeights, x: Matrix, options: ForwardOptions = {}): void {
  const { nTokens, config } = batch;
  if (x.rows !== nTokens || x.cols !== config.hiddenSize) {
    throw new ModelError("incompatible", [
      `The layer's input is ${x.rows} x ${x.cols}; the batch needs ${nTokens} x ${config.hiddenSize}.`,
    ]);
  }
  attentionBlock(batch, weights, x, options);
  mlpBlock(batch, weights, x, options);
}

function attentionBlock(batch: Batch, weights: LayerWeights, x: Matrix, options: ForwardOptions): void {
  const { engine, config, normed, qkv, attended } = batch;
  const { tap, keep, adapt, cache } = options;
  keep?.("input", x);
  engine.rmsNorm(x, weights.inputNorm, config.rmsNormEps, config.normOffset, normed);
  tap?.("qkv", normed);
  project(batch, normed, weights.qkv, 0, qkv);
  adapt?.("qkv", normed, qkv);
  const rotated = qkv.view(0, 0, batch.nTokens, (config.nHeads + config.nKvHeads) * config.headDim);
  if (weights.qNorm && weights.kNorm) {
    keep?.("projected", rotated);
    normHeads(batch, weights.qNorm, weights.kNorm);
  }
  engine.rotary(rotated, batch.cos, batch.sin, config.headDim);
  keep?.("rotated", qkv);
  attend(batch, cache);
  keep?.("attended", attended);
  tap?.("o", attended);
  project(batch, attended, weights.o, 1, x);
  adapt?.("o", attended, x);
}

function mlpBlock(batch: Batch, weights: LayerWeights, x: Matrix, { tap, keep, adapt }: ForwardOptions): void {
  const { engine, config, normed, gateUp, nTokens } = batch;
  keep?.("middle", x);
  engine.rmsNorm(x, weights.mlpNorm, config.rmsNormEps, config.normOffset, normed);
  tap?.("gateUp", normed);
  project(batch, normed, weights.gateUp, 0, gateUp);
  adapt?.("gateUp", normed, gateUp);
  keep?.("gateUp", gateUp);
  const gate = gateUp.view(0, 0, nTokens, config.intermediateSize);
  const up = gateUp.view(0, config.intermediateSize, nTokens, config.intermediateSize);
  engine.gatedActivation(config.activation, gate, up);
  tap?.("down", gate);
  project(batch, gate, weights.down, 1, x);
  adapt?.("down", gate, x);
}

/** out := input Wᵀ + bias + beta · out. */
function project({ engine }: Batch, input: Matrix, { weight, bias }: StackedLinears, beta: 0 | 1, out: Matrix): void {
  engine.gemm(1, input, false, weight, true, beta, out);
  if (bias) engine.addBias(out, bias);
}

/** RMS norm of each query and each key head by itself. */
function normHeads({ engine, config, qkv, nTokens }: Batch, qNorm: Matrix, kNorm: Matrix): void {
  const { nHeads, nKvHeads, headDim } = config;
  for (let head = 0; head < nHeads + nKvHeads; head++) {
    const values = qkv.view(0, head * headDim, nTokens, headDim);
    engine.rmsNorm(values, head < nHeads ? qNorm : kNorm, config.rmsNormEps, config.normOffset, values);
  }
}
