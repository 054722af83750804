import type { Engine, Matrix } from "@safedelta/engine";
import type { ModelConfig } from "@safedelta/model";

/** Work matrices of a backward pass, one row a token; those of the forward pass's batch serve as well. */
export interface Scratch {
  /** hiddenSize wide: the hidden state, its gradient, and the gradient of what enters a group after a norm. */
  readonly x: Matrix;
  readonly dX: Matrix;
  readonly dNormed: Matrix;
  /** intermediateSize wide: what enters the down projection, and its gradient. */
  readonly act: Matrix;
  readonly dAct: Matrix;
  /** headDim/2 wide: the rotation backwards. */
  readonly negativeSin: Matrix;
}

function widths({ hiddenSize, intermediateSize, headDim }: ModelConfig): Record<keyof Scratch, number> {
  return {
    x: hiddenSize,
    dX: hiddenSize,
    dNormed: hiddenSize,
    act: intermediateSize,
    dAct: intermediateSize,
    negativeSin: headDim / 2,
  };
}

/** Numbers a token in all work matrices. */
export function scratchWidth(config: ModelConfig): number {
  return Object.values(widths(config)).reduce((a, b) => a + b, 0);
}

/** Memory for `capacity` tokens. @throws EngineMemoryError */
export function openScratch(engine: Engine, config: ModelConfig, capacity: number, owned: DisposableStack): Scratch {
  const entries = Object.entries(widths(config)).map(([name, cols]) => [name, owned.use(engine.alloc(capacity, cols))]);
  return Object.fromEntries(entries) as unknown as Scratch;
}

/** The first rows: those of the tokens of a pass. */
export function topScratch(scratch: Scratch, nTokens: number): Scratch {
  const entries = Object.entries(scratch).map(([name, m]: [string, Matrix]) => [name, m.view(0, 0, nTokens, m.cols)]);
  return Object.fromEntries(entries) as unknown as Scratch;
}
