import type { Matrix } from "@safedelta/engine";
import {
  type GroupName,
  groupNames,
  type LayerWeights,
  type Model,
  type StackedLinears,
  type WeightType,
} from "@safedelta/model";

/**
 * The weights of a model as passes compute with them: f32. Those that are kept in bf16 are widened when asked for, one layer (and the
 * head) at a time.
 */
export class Weights implements Disposable {
  private readonly owned = new DisposableStack();
  /** Where matrices in bf16 are widened to; absent for a model in f32. */
  private readonly wide?: { readonly layer: Readonly<Record<GroupName, Matrix>>; readonly head: Matrix };

  /** @throws EngineMemoryError */
  constructor(private readonly model: Model) {
    if (model.head.dtype === "f32") return;
    using made = new DisposableStack();
    const like = ({ rows, cols }: Matrix) => made.use(model.engine.alloc(rows, cols));
    const [qkv, o, gateUp, down] = groupNames.map((group) => like(model.layers[0][group].weight));
    this.wide = { layer: { qkv, o, gateUp, down }, head: like(model.head) };
    this.owned.use(made.move());
  }

  /** Valid until the next call. */
  layer(i: number): LayerWeights {
    const { engine, layers } = this.model;
    const { wide } = this;
    if (!wide) return layers[i];
    const widened = (group: GroupName): StackedLinears => {
      engine.convert(layers[i][group].weight, wide.layer[group]);
      return { weight: wide.layer[group], bias: layers[i][group].bias };
    };
    const [qkv, o, gateUp, down] = groupNames.map(widened);
    return { ...layers[i], qkv, o, gateUp, down };
  }

  /** vocabularySize x hiddenSize; valid until the weights change. */
  head(): Matrix {
    if (!this.wide) return this.model.head;
    this.model.engine.convert(this.model.head, this.wide.head);
    return this.wide.head;
  }

  /** x := the embeddings of these tokens, without their scale. */
  embed(ids: Int32Array, x: Matrix): void {
    const { engine, embedding } = this.model;
    using narrow = engine.alloc(x.rows, x.cols, embedding.dtype);
    engine.gather(embedding, ids, null, narrow);
    engine.convert(narrow, x);
  }

  [Symbol.dispose](): void {
    this.owned.dispose();
  }
}

/** Bytes that weights in a type take, those that they are widened to included; vectors are always f32. */
export function weightBytes(
  type: WeightType,
  numbers: Readonly<Record<"model" | "vectors" | "layer" | "head", number>>,
): number {
  const { model, vectors, layer, head } = numbers;
  return type === "f32" ? 4 * model : 2 * (model + vectors) + 4 * (layer + head);
}
