import type { Engine, Matrix } from "@safedelta/engine";
import type { Case } from "../case.ts";
import { simple } from "../simple.ts";

/** What a repair does to a whole 4096 x 4096 linear of Llama beside its products. @param passes how often each number is read or written */
function onLinear(name: string, passes: number, make: (engine: Engine, m: Matrix, other: Matrix) => () => void): Case {
  const n = 4096;
  return simple(
    `${name} Llama ${n} x ${n}`,
    (inputs) => {
      const [m, other] = [inputs.zeros(n, n), inputs.zeros(n, n)];
      for (const one of [m, other]) inputs.engine.fill(one, 1); // memory that nobody has written is not there yet
      return { run: make(inputs.engine, m, other), out: m.view(0, 0, 1, n) };
    },
    { bytes: 4 * passes * n * n },
  );
}

/** The indices below n in an order in which no two neighbours stay together. */
function shuffled(n: number): Int32Array {
  return Int32Array.from({ length: n }, (_, i) => (i * 1001) % n);
}

/** Operations that only move numbers: memory bounds them. */
export const memoryCases: readonly Case[] = [
  onLinear("fill", 1, (engine, _m, other) => () => engine.fill(other, 1)),
  onLinear("add", 3, (engine, m, other) => () => engine.add(-1, m, other)),
  onLinear("mirror", 1, (engine, m) => () => engine.mirror(m)),
  onLinear("scaleCols", 2, (engine, m) => {
    const factors = new Float32Array(m.cols).fill(1);
    return () => engine.scaleCols(m, factors);
  }),
  onLinear("columnSquares", 1, (engine, m) => () => void engine.columnSquares(m)),
  onLinear("gather of all columns", 2, (engine, m, other) => {
    const order = shuffled(m.cols);
    return () => engine.gather(m, null, order, other);
  }),
  onLinear("scatter of all columns", 2, (engine, m, other) => {
    const order = shuffled(m.cols);
    return () => engine.scatter(m, null, order, other);
  }),
  simple(
    "convert bf16 to f32 1536 x 576",
    (inputs) => {
      const [x, out] = [inputs.hold(inputs.engine.alloc(1536, 576, "bf16")), inputs.zeros(1536, 576)];
      return { run: () => inputs.engine.convert(x, out), out };
    },
    { bytes: (2 + 4) * 1536 * 576 },
  ),
];
