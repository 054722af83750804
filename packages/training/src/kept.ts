import type { Engine, Matrix } from "@safedelta/engine";
import type { Keep, ModelConfig, Moment } from "@safedelta/model";

/** What of one layer's forward pass its backward pass starts from, a row a token. */
export type KeptLayer = Readonly<Partial<Record<Moment, Matrix>>> &
  Readonly<Record<Exclude<Moment, "projected">, Matrix>>;

/** Numbers a token of each moment; `projected` only where the heads have norms. */
export function keptWidths(config: ModelConfig): Partial<Record<Moment, number>> {
  const { nHeads, nKvHeads, headDim, hiddenSize, intermediateSize } = config;
  return {
    input: hiddenSize,
    ...(config.qkNorm ? { projected: (nHeads + nKvHeads) * headDim } : {}),
    rotated: (nHeads + 2 * nKvHeads) * headDim,
    attended: nHeads * headDim,
    middle: hiddenSize,
    gateUp: 2 * intermediateSize,
  };
}

/** Memory for one layer and `capacity` tokens; what is put into `owned` ends with it. */
export function openKept(engine: Engine, config: ModelConfig, capacity: number, owned: DisposableStack): KeptLayer {
  const entries = Object.entries(keptWidths(config)).map(([moment, cols]) => [
    moment,
    owned.use(engine.alloc(capacity, cols)),
  ]);
  return Object.fromEntries(entries) as KeptLayer;
}

/** The first rows of what is kept: those of the tokens of a pass. */
export function topOf(kept: KeptLayer, nTokens: number): KeptLayer {
  const entries = Object.entries(kept).map(([moment, m]) => [moment, m.view(0, 0, nTokens, m.cols)]);
  return Object.fromEntries(entries) as KeptLayer;
}

/** Copies every moment of a forward pass. */
export function keepInto(engine: Engine, kept: KeptLayer): Keep {
  return (moment, values) => engine.convert(values, kept[moment] as Matrix);
}
