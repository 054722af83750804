import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Engine } from "@safedelta/engine";
import { cases } from "./cases.ts";
import { devicesOf, type EngineHere, enginesHere } from "./engines.ts";
import { Trial } from "./trial.ts";

const engines = await enginesHere();

/** Run the one case list on every device of an engine, or say why it is not here. */
function conform({ name, missing, nDevices, open }: EngineHere): void {
  if (missing !== undefined) {
    test.skip(`${name}: ${missing}`, () => {});
    return;
  }
  describe(name, () => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await open();
    });
    afterAll(() => engine[Symbol.dispose]());
    for (const [topic, list] of Object.entries(cases)) {
      describe(topic, () => {
        for (const { name, run } of list) {
          // Device after device in one case, so that what one leaves behind meets the next.
          test(name, async () => {
            for (let device = 0; device < nDevices; device++) {
              const trial = new Trial(devicesOf(engine)[device]);
              await run(trial, open);
              trial.finish();
            }
          });
        }
      });
    }
  });
}

for (const engine of engines) conform(engine);

test("the reference and the committed WASM build run everywhere", () => {
  const portable = engines.filter(({ name }) => name === "reference" || name === "wasm");
  expect(portable.map(({ missing }) => missing)).toEqual([undefined, undefined]);
});
