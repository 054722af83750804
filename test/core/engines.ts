import { afterAll, beforeAll, describe } from "bun:test";
import { type Engine, openEngine } from "@safedelta/engine";

/** The two kinds of arithmetic that the method is tested on. */
export interface EngineCase {
  readonly name: "reference" | "wasm";
  /** What rounding may do, relative to the size of the numbers at hand. */
  readonly tolerance: number;
}

const cases: readonly EngineCase[] = [
  { name: "reference", tolerance: 1e-6 }, // f64 inside, but values cross the border as f32
  { name: "wasm", tolerance: 1e-3 },
];

/** Declare the same tests for each engine. `engine()` is open while they run. */
export function onEachEngine(declare: (engine: () => Engine, engineCase: EngineCase) => void): void {
  for (const engineCase of cases) {
    describe(engineCase.name, () => {
      let engine: Engine | undefined;
      beforeAll(async () => {
        ({ engine } = await openEngine(engineCase.name));
      });
      afterAll(() => engine?.[Symbol.dispose]());
      declare(() => {
        if (!engine) throw new Error("the engine is opened in beforeAll");
        return engine;
      }, engineCase);
    });
  }
}
