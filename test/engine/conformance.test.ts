import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Engine } from "@safedelta/engine";
import { cases } from "./cases.ts";
import { type EngineHere, enginesHere } from "./engines.ts";
import { Trial } from "./trial.ts";

const engines = await enginesHere();

/** Run the one case list on an engine, or say why it is not here. */
function conform({ name, missing, open }: EngineHere): void {
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
          test(name, async () => {
            const trial = new Trial(engine);
            await run(trial, open);
            trial.finish();
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
