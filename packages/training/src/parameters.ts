import type { Engine, Matrix } from "@safedelta/engine";
import { groupNames, type Model } from "@safedelta/model";

/** A matrix that is trained. */
export interface Trained {
  /** Its place in the model, such as `layers.0.qkv.weight`. */
  readonly name: string;
  readonly weight: Matrix;
  /** Weight decay is for matrices; biases and norm weights have none, as in Hugging Face's Trainer. */
  readonly decays: boolean;
}

/** A trained matrix with what an update needs, all of its shape, in f32. */
export interface Parameter extends Trained {
  readonly gradient: Matrix;
  /** AdamW's moving averages of the gradient and of its square. */
  readonly m: Matrix;
  readonly v: Matrix;
}

/** What of a model is trained: everything, or the linears of the layers (weights and biases) alone. */
export type TrainedPart = "all" | "linears";

/** The trained matrices of a model, in forward order; a tied head is the embedding and comes once. */
export function trainedOf(model: Model, part: TrainedPart): Trained[] {
  const vector = (name: string, weight: Matrix | null): Trained[] => (weight ? [{ name, weight, decays: false }] : []);
  const rest = (entries: Trained[]) => (part === "all" ? entries : []);
  const layers = model.layers.flatMap((layer, i) => {
    const at = (name: string) => `layers.${i}.${name}`;
    const linears = groupNames.flatMap((group) => [
      { name: at(`${group}.weight`), weight: layer[group].weight, decays: true },
      ...vector(at(`${group}.bias`), layer[group].bias),
    ]);
    const norms = (["inputNorm", "qNorm", "kNorm", "mlpNorm"] as const).flatMap((norm) =>
      vector(at(norm), layer[norm]),
    );
    return [...rest(norms), ...linears];
  });
  const { embedding, finalNorm, head } = model;
  const untied = head === embedding ? [] : [{ name: "head", weight: head, decays: true }];
  return [
    ...rest([{ name: "embedding", weight: embedding, decays: true }]),
    ...layers,
    ...rest([...vector("finalNorm", finalNorm), ...untied]),
  ];
}

/** Bytes of gradient and averages that a trained number takes. */
export const updateBytes = 12;

/** Gradients and averages for trained matrices, all zero. @throws EngineMemoryError when they do not fit */
export function openParameters(
  engine: Engine,
  trained: readonly Trained[],
): Disposable & { readonly list: readonly Parameter[] } {
  using owned = new DisposableStack();
  const like = ({ rows, cols }: Matrix) => owned.use(engine.alloc(rows, cols));
  const list = trained.map((one) => ({
    ...one,
    gradient: like(one.weight),
    m: like(one.weight),
    v: like(one.weight),
  }));
  const kept = owned.move();
  return { list, [Symbol.dispose]: () => kept.dispose() };
}
