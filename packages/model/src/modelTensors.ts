import type { Matrix } from "@safedelta/engine";
import { atLayer, tensorNames } from "./families.ts";
import { groupsOfLayer } from "./groups.ts";
import type { Model } from "./model.ts";
import { biasName } from "./tensors.ts";

/** Where a tensor of the model's files lies in engine memory. */
export interface ModelTensor {
  /** As the model holds it: a whole matrix, or the stacked one of a group. */
  readonly owner: Matrix;
  /** The tensor's own part of it; a vector is 1 x n. */
  readonly values: Matrix;
}

/** Every tensor that a model uses, by its name; a tied head is under both of its names. */
export function modelTensors({ config, embedding, layers, finalNorm, head }: Model): Map<string, ModelTensor> {
  const tensors = new Map<string, ModelTensor>();
  const whole = (name: string, owner: Matrix | null) => owner && tensors.set(name, { owner, values: owner });
  whole(tensorNames.embedding, embedding);
  layers.forEach((weights, layer) => {
    for (const norm of ["inputNorm", "qNorm", "kNorm", "mlpNorm"] as const)
      whole(atLayer(tensorNames[norm], layer), weights[norm]);
    for (const { name, linears, cols } of groupsOfLayer(config, layer)) {
      const { weight, bias } = weights[name];
      let row = 0;
      for (const linear of linears) {
        tensors.set(linear.name, { owner: weight, values: weight.view(row, 0, linear.rows, cols) });
        if (bias) tensors.set(biasName(linear.name), { owner: bias, values: bias.view(0, row, 1, linear.rows) });
        row += linear.rows;
      }
    }
  });
  whole(tensorNames.finalNorm, finalNorm);
  whole(tensorNames.head, head);
  return tensors;
}
