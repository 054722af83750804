import type { AttentionShape, Matrix } from "@safedelta/engine";
import { type Case, Inputs } from "./case.ts";

/** SmolLM2: 9 query heads, 3 key heads of 64. */
export const smolShape: AttentionShape = { nHeads: 9, nKvHeads: 3, headDim: 64, scale: 1 / 8 };

/** Operations between the products. Their answers are proved by the conformance cases; here only that they are finite. */
export function simple(
  name: string,
  make: (inputs: Inputs) => { run(): void; out: Matrix },
  work: Pick<Case, "flops" | "bytes">,
): Case {
  return {
    name,
    ...work,
    prepare(engine) {
      const inputs = new Inputs(engine);
      const { run, out } = make(inputs);
      return {
        run,
        check: () => ({ error: engine.read(out).every(Number.isFinite) ? 0 : Number.NaN, allowed: 0 }),
        [Symbol.dispose]: () => inputs[Symbol.dispose](),
      };
    },
  };
}
