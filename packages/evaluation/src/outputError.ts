import { forwardLayer, type Model, openWorkspace, packSegments, scaleEmbedding } from "@safedelta/model";
import { EvaluationError } from "./errors.ts";

/**
 * Σ ‖X(W − W_aligned)ᵀ‖² / Σ ‖X W_alignedᵀ‖² over every linear of the layers (Frobenius, no biases), X being its inputs in the aligned model.
 * @param model of the same shapes as `aligned`, in the same engine
 * @throws EvaluationError for a model of other shapes; ModelError as `logits`
 */
export function outputError(aligned: Model, model: Model, ids: readonly number[]): number {
  const { engine, config, embedding, layers } = aligned;
  if (model.engine !== engine || model.layers.length !== layers.length)
    throw new EvaluationError("metric output-error: both models must have the same layers and lie in one engine");
  using workspace = openWorkspace(engine, config, ids.length);
  using x = engine.alloc(ids.length, config.hiddenSize);
  engine.gather(embedding, Int32Array.from(ids), null, x);
  scaleEmbedding(engine, config, x);
  let [moved, whole] = [0, 0];
  layers.forEach((layer, i) => {
    forwardLayer(workspace.batch(packSegments([ids.length])), layer, x, {
      tap(group, input) {
        const [own, other] = [layer[group].weight, model.layers[i][group].weight];
        if (own.rows !== other.rows || own.cols !== other.cols)
          throw new EvaluationError(
            `metric output-error: layer ${i} ${group} is ${other.rows} x ${other.cols}, not ${own.rows} x ${own.cols}`,
          );
        using out = engine.alloc(input.rows, own.rows);
        engine.gemm(1, input, false, own, true, 0, out);
        whole += sumOf(engine.columnSquares(out));
        engine.gemm(1, input, false, other, true, -1, out);
        moved += sumOf(engine.columnSquares(out));
      },
    });
  });
  return moved / whole;
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}
