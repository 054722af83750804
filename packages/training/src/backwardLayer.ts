import type { Matrix } from "@safedelta/engine";
import type { Batch, GroupName, LayerWeights } from "@safedelta/model";
import { backwardAttention } from "./backwardAttention.ts";
import type { Gradients } from "./gradients.ts";
import type { KeptLayer } from "./kept.ts";
import type { Scratch } from "./scratch.ts";

/** The backward side of adapters on one layer's linears: their own gradients, and what they add to that of their input. */
export type BackwardAdapt = (group: GroupName, input: Matrix, dOut: Matrix, dInput: Matrix) => void;

/** All that the backward pass of one layer needs. The batch's matrices are overwritten. */
export interface BackwardLayer {
  readonly batch: Batch;
  /** In f32. */
  readonly weights: LayerWeights;
  /** As the model keeps them: what gradients are found by. */
  readonly trained: LayerWeights;
  readonly kept: KeptLayer;
  readonly scratch: Scratch;
  readonly gradients: Gradients;
  readonly adapt?: BackwardAdapt;
}

/**
 * Backward pass of `forwardLayer`: dX (nTokens x hiddenSize) holds the gradient of the layer's output and is overwritten with that
 * of its input; the gradients of the trained weights are added to.
 */
export function backwardLayer(layer: BackwardLayer, dX: Matrix): void {
  backwardMlp(layer, dX);
  backwardAttentionBlock(layer, dX);
}

function backwardMlp(layer: BackwardLayer, dX: Matrix): void {
  const { batch, weights, kept, scratch } = layer;
  const { engine, config, normed, nTokens } = batch;
  const width = config.intermediateSize;
  const half = (m: Matrix, part: 0 | 1) => m.view(0, part * width, nTokens, width);
  const [gate, up] = [half(kept.gateUp, 0), half(kept.gateUp, 1)];
  engine.convert(gate, scratch.act);
  engine.gatedActivation(config.activation, scratch.act, up);
  backwardLinears(layer, "down", scratch.act, dX, scratch.dAct);
  const dGateUp = batch.gateUp;
  engine.gatedActivationBackward(config.activation, gate, up, scratch.dAct, half(dGateUp, 0), half(dGateUp, 1));
  engine.rmsNorm(kept.middle, weights.mlpNorm, config.rmsNormEps, config.normOffset, normed);
  backwardLinears(layer, "gateUp", normed, dGateUp, scratch.dNormed);
  backwardNorm(layer, kept.middle, weights.mlpNorm, dX);
}

function backwardAttentionBlock(layer: BackwardLayer, dX: Matrix): void {
  const { batch, weights, kept, scratch } = layer;
  const { engine, config, normed, nTokens } = batch;
  backwardLinears(layer, "o", kept.attended, dX, batch.attended);
  backwardAttention(batch, kept, batch.attended, batch.qkv);
  const dRotated = batch.qkv.view(0, 0, nTokens, (config.nHeads + config.nKvHeads) * config.headDim);
  engine.rotary(dRotated, batch.cos, scratch.negativeSin, config.headDim);
  if (weights.qNorm && weights.kNorm) backwardHeadNorms(layer, weights.qNorm, weights.kNorm, dRotated);
  engine.rmsNorm(kept.input, weights.inputNorm, config.rmsNormEps, config.normOffset, normed);
  backwardLinears(layer, "qkv", normed, batch.qkv, scratch.dNormed);
  backwardNorm(layer, kept.input, weights.inputNorm, dX);
}

/** dInput := dOut W, and the gradients of W and its bias, for out = input Wᵀ + bias. */
function backwardLinears(
  { batch: { engine }, weights, trained, gradients, adapt }: BackwardLayer,
  group: GroupName,
  input: Matrix,
  dOut: Matrix,
  dInput: Matrix,
): void {
  engine.gemm(1, dOut, false, weights[group].weight, false, 0, dInput);
  const { weight, bias } = trained[group];
  gradients.addProduct(weight, dOut, input);
  if (bias) addColumnSums(engine, dOut, gradients.sum(bias));
  adapt?.(group, input, dOut, dInput);
}

/** sums (1 x cols) += the sum of the rows of m. */
function addColumnSums(engine: Batch["engine"], m: Matrix, sums: Matrix | undefined): void {
  if (!sums) return;
  using ones = engine.alloc(1, m.rows);
  engine.fill(ones, 1);
  engine.gemm(1, ones, false, m, false, 1, sums);
}

/** dX += the gradient that comes back through the norm whose output's gradient is in scratch.dNormed. */
function backwardNorm({ batch, scratch, gradients }: BackwardLayer, x: Matrix, weight: Matrix, dX: Matrix): void {
  const { engine, config, normed } = batch;
  const dWeight = gradients.sumOfNorm(weight);
  engine.rmsNormBackward(x, weight, config.rmsNormEps, config.normOffset, scratch.dNormed, normed, dWeight);
  engine.add(1, normed, dX);
}

/** dHeads := the gradient before the norm of each query and each key head. */
function backwardHeadNorms(layer: BackwardLayer, qNorm: Matrix, kNorm: Matrix, dHeads: Matrix): void {
  const { batch, kept, gradients } = layer;
  const { engine, config, nTokens } = batch;
  const projected = kept.projected as Matrix;
  for (let head = 0; head < config.nHeads + config.nKvHeads; head++) {
    const of = (m: Matrix) => m.view(0, head * config.headDim, nTokens, config.headDim);
    const weight = head < config.nHeads ? qNorm : kNorm;
    const dWeight = gradients.sumOfNorm(weight);
    engine.rmsNormBackward(
      of(projected),
      weight,
      config.rmsNormEps,
      config.normOffset,
      of(dHeads),
      of(dHeads),
      dWeight,
    );
  }
}
