import type { Matrix } from "@safedelta/engine";
import type { Model, ModelConfig } from "@safedelta/model";
import type { Pass } from "./example.ts";
import type { Gradients } from "./gradients.ts";

/** Logits are computed so many bytes at a time. */
const logitsBytes = 64 * 2 ** 20;

/** Rows of logits in memory at once, of `nRows`. */
export function logitRows({ vocabularySize }: Pick<ModelConfig, "vocabularySize">, nRows: number): number {
  return Math.min(nRows, Math.max(8, Math.floor(logitsBytes / (4 * vocabularySize))));
}

/** Bytes that `backwardLoss` takes for `nRows` positions that count. */
export function lossBytes(config: ModelConfig, nRows: number): number {
  return 4 * (logitRows(config, nRows) * config.vocabularySize + 3 * nRows * config.hiddenSize);
}

/**
 * The sum of the cross entropies of a pass's targets (nats). x (nTokens x hiddenSize) holds what leaves the last layer; dX becomes
 * the gradient of that sum, and those of final norm and head are added to. Logits are computed only where they count.
 * @param head the model's, in f32
 */
export function backwardLoss(
  model: Model,
  head: Matrix,
  gradients: Gradients,
  { rows, targets }: Pass,
  x: Matrix,
  dX: Matrix,
): number {
  const { engine, config, finalNorm } = model;
  engine.fill(dX, 0);
  if (rows.length === 0) return 0;
  using owned = new DisposableStack();
  const [picked, normed, dNormed] = [0, 1, 2].map(() => owned.use(engine.alloc(rows.length, config.hiddenSize)));
  engine.gather(x, rows, null, picked);
  engine.rmsNorm(picked, finalNorm, config.rmsNormEps, config.normOffset, normed);
  const loss = backwardHead(model, head, gradients, targets, normed, dNormed);
  const dWeight = gradients.sumOfNorm(finalNorm);
  engine.rmsNormBackward(picked, finalNorm, config.rmsNormEps, config.normOffset, dNormed, normed, dWeight);
  engine.scatter(normed, rows, null, dX);
  return loss;
}

/** The loss of the head's input (a row a target), whose gradient becomes dNormed. */
function backwardHead(
  { engine, config, head: trained }: Model,
  head: Matrix,
  gradients: Gradients,
  targets: Int32Array,
  normed: Matrix,
  dNormed: Matrix,
): number {
  const nRows = logitRows(config, targets.length);
  using buffer = engine.alloc(nRows, config.vocabularySize);
  let loss = 0;
  for (let first = 0; first < targets.length; first += nRows) {
    const count = Math.min(nRows, targets.length - first);
    const logits = buffer.view(0, 0, count, config.vocabularySize);
    const input = normed.view(first, 0, count, config.hiddenSize);
    engine.gemm(1, input, false, head, true, 0, logits);
    loss += engine.softmaxCrossEntropy(logits, targets.subarray(first, first + count), logits);
    engine.gemm(1, logits, false, head, false, 0, dNormed.view(first, 0, count, config.hiddenSize));
    gradients.addProduct(trained, logits, input);
  }
  return loss;
}
