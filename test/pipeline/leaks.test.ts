import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { encode, type Tensor, writeSafetensors } from "@safedelta/checkpoint";
import { type Engine, openEngine } from "@safedelta/engine";
import { repairLayerFile, silent, sweep } from "@safedelta/pipeline";
import { failingAt, Injected } from "../support/failing.ts";
import { scratchFolder, writePico } from "../support/pico.ts";
import { Random } from "../support/random.ts";
import { prepareOptions, runPrepare } from "./job.ts";

let scratch: Awaited<ReturnType<typeof scratchFolder>>;
beforeAll(async () => {
  scratch = await scratchFolder();
});
afterAll(() => scratch[Symbol.asyncDispose]());

/** Run `work` with its k-th engine operation failing, for every k until it succeeds: each time all memory comes back. */
async function withEveryFault(work: (engine: Engine) => Promise<unknown>): Promise<void> {
  using engine = (await openEngine("wasm")).engine;
  let n = 1;
  for (let failed = true; failed; n++) {
    const error = await work(failingAt(engine, n)).then(
      () => undefined,
      (caught) => caught,
    );
    failed = error instanceof Injected;
    if (error !== undefined && !failed) throw error;
    expect({ n, bytes: engine.bytesInUse }).toEqual({ n, bytes: 0 });
  }
  expect(n).toBeGreaterThan(10);
}

const [rows, cols] = [3, 5];
const random = new Random(6);
const tensor = (name: string, height: number, values = random.normals(height * cols)): Tensor => {
  return { name, dtype: "BF16", shape: [height, cols], bytes: encode(values, "BF16") };
};
const weights = [tensor("aligned", rows), tensor("tuned", rows)];
const examples = [tensor("x0", 9), tensor("x1", 4)];
const identity = Float32Array.from({ length: cols * cols }, (_, at) => (at % (cols + 1) === 0 ? 1 : 0));

/** A file of tensors, repaired. */
async function repairLayer(engine: Engine, tensors: readonly Tensor[], mode: "reference" | "exact" | "optimal") {
  const [input, out] = [join(scratch.path, "in.safetensors"), join(scratch.path, "out.safetensors")];
  await writeSafetensors(input, [...tensors]);
  const budget = { kind: "loss", share: 0.3 } as const;
  return repairLayerFile(engine, { input, out, mode, budget, overwrite: true });
}

describe("whichever operation fails, no engine memory stays in use", () => {
  for (const mode of ["reference", "exact", "optimal"] as const) {
    test(`layer, ${mode}, from activations`, () =>
      withEveryFault((engine) => repairLayer(engine, [...weights, ...examples], mode)));
  }

  test("layer, from a Hessian", () =>
    withEveryFault((engine) => repairLayer(engine, [...weights, tensor("hessian", cols, identity)], "optimal")));

  test.each([
    ["exact", { kind: "keep", share: 0.5 }],
    ["optimal", { kind: "strength", value: 2 }],
  ] as const)(
    "sweep, %s: both weights and the prepared group",
    async (mode, budget) => {
      const at = (name: string) => join(scratch.path, name);
      const config = { num_hidden_layers: 1 };
      await writePico(at("aligned"), { seed: 1, config });
      await writePico(at("tuned"), { seed: 1, config, delta: { seed: 2, size: 0.02 } });
      await runPrepare(prepareOptions(at("aligned"), at(mode), { modes: [mode], optimalPart: () => "hessian" }));
      const models = { aligned: at("aligned"), tuned: at("tuned"), state: at(mode) };
      const request = { ...models, modes: [mode], budgets: [budget], offline: true };
      await withEveryFault((engine) => sweep(engine, request, silent));
    },
    300_000,
  );
});

describe("what the inputs cause leaves nothing in engine memory", () => {
  const bad = random.normals(rows * cols);
  bad[7] = Number.NaN;
  const indefinite = identity.map((value, at) => (at % cols === 0 || at < cols ? 5 : value));
  test.each([
    ["NaN in tuned", [weights[0], tensor("tuned", rows, bad), ...examples], /tuned .*NaN/],
    [
      "other columns in tuned",
      [weights[0], tensor("tuned", cols), ...examples],
      /tuned weight is 5 x 5, expected 3 x 5/,
    ],
    ["a Hessian that is not definite", [...weights, tensor("hessian", cols, indefinite)], /not positive definite/],
    [
      "an example of other columns",
      [...weights, examples[0], { ...tensor("x1", cols), shape: [25, 1] }],
      /x1: is 25 x 1/,
    ],
  ] as const)("%s", async (_, tensors, words) => {
    using engine = (await openEngine("wasm")).engine;
    await expect(repairLayer(engine, tensors, "exact")).rejects.toThrow(words);
    expect(engine.bytesInUse).toBe(0);
  });
});
