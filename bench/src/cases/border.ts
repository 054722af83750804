import { type Case, type Deviation, Inputs } from "../case.ts";

const exact: Deviation = { error: 0, allowed: 0 };
const wrong: Deviation = { error: 1, allowed: 0 };

/** What it costs to bring data across the border; single calls are the ladder's. */
function rung(name: string, make: (inputs: Inputs) => { run(): void; check(): boolean }, bytes?: number): Case {
  return {
    name: `border: ${name}`,
    bytes,
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
  rung("alloc and dispose 576 x 576", ({ engine }) => ({
    run: () => engine.alloc(576, 576)[Symbol.dispose](),
    check: () => engine.bytesInUse === 0,
  })),
  rung(
    "write 576 x 576",
    (inputs) => {
      const m = inputs.zeros(576, 576);
      const values = new Float32Array(576 * 576).fill(3);
      return { run: () => inputs.engine.write(m, values), check: () => inputs.engine.read(m).every((x) => x === 3) };
    },
    2 * 4 * 576 * 576,
  ),
  rung(
    "read 576 x 576",
    (inputs) => {
      const m = inputs.zeros(576, 576);
      let last = inputs.engine.read(m);
      const run = () => {
        last = inputs.engine.read(m);
      };
      return { run, check: () => last.length === 576 * 576 };
    },
    2 * 4 * 576 * 576,
  ),
];
