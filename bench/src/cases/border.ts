import { type Case, type Deviation, Inputs } from "../case.ts";

const exact: Deviation = { error: 0, allowed: 0 };
const wrong: Deviation = { error: 1, allowed: 0 };

/** What crossing into the engine costs, from the least that a call can do to real data. */
function rung(name: string, make: (inputs: Inputs) => { run(): void; check(): boolean }): Case {
  return {
    name: `border: ${name}`,
    prepare(engine) {
      const inputs = new Inputs(engine);
      const { run, check } = make(inputs);
      return {
        run,
        check: () => (check() ? exact : wrong),
        [Symbol.dispose]: () => inputs[Symbol.dispose](),
      };
    },
  };
}

export const borderCases: readonly Case[] = [
  rung("fill one element", (inputs) => {
    const m = inputs.zeros(1, 1);
    return { run: () => inputs.engine.fill(m, 3), check: () => inputs.engine.read(m)[0] === 3 };
  }),
  rung("gemm of one element", (inputs) => {
    const [a, c] = [inputs.zeros(1, 1), inputs.zeros(1, 1)];
    inputs.engine.fill(a, 3);
    return {
      run: () => inputs.engine.gemm(1, a, false, a, false, 0, c),
      check: () => inputs.engine.read(c)[0] === 9,
    };
  }),
  rung("alloc and dispose 576 x 576", ({ engine }) => ({
    run: () => engine.alloc(576, 576)[Symbol.dispose](),
    check: () => engine.bytesInUse === 0,
  })),
  rung("write 576 x 576", (inputs) => {
    const m = inputs.zeros(576, 576);
    const values = new Float32Array(576 * 576).fill(3);
    return { run: () => inputs.engine.write(m, values), check: () => inputs.engine.read(m).every((x) => x === 3) };
  }),
  rung("read 576 x 576", (inputs) => {
    const m = inputs.zeros(576, 576);
    let last = inputs.engine.read(m);
    const run = () => {
      last = inputs.engine.read(m);
    };
    return { run, check: () => last.length === 576 * 576 };
  }),
];
