/** A state whose groups keep their Hessians serves every command as one with spectra does, and so does one with both. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openState, type StatePart } from "@safedelta/pipeline";
import { prepareOptions, runPrepare } from "../pipeline/job.ts";
import { jsonOf, safedelta, succeed } from "./run.ts";
import { drawFlags, largestGap, makeWorld, valuesOf, type World } from "./world.ts";

let world: World;
/** States by what `optimal` keeps of a group; the pico models have groups of 24 and, last, of 40 inputs. */
const states: Record<string, (cols: number) => "spectrum" | "hessian"> = {
  spectra: () => "spectrum",
  hessians: () => "hessian",
  mixed: (cols) => (cols > 24 ? "hessian" : "spectrum"),
};

beforeAll(async () => {
  world = await makeWorld({ withState: false });
  const data = { file: world.at("safe.jsonl"), samples: 20, seed: 42, maxTokens: 64, systemPrompts: "none" } as const;
  for (const [name, optimalPart] of Object.entries(states)) {
    await runPrepare(prepareOptions(world.at("aligned"), world.at(name), { data, modes: ["optimal"], optimalPart }));
  }
}, 60_000);
afterAll(() => world[Symbol.asyncDispose]());

test("the manifest tells what each group keeps, and so does inspect", async () => {
  const keeps = (part: StatePart) => ({ qkv: [part], o: [part], gateUp: [part], down: [part] });
  const partsOf = async (name: string) => (await openState(world.at(name))).manifest.parts;
  expect(await partsOf("spectra")).toEqual(keeps("spectrum"));
  expect(await partsOf("hessians")).toEqual(keeps("hessian"));
  expect(await partsOf("mixed")).toEqual({ ...keeps("spectrum"), down: ["hessian"] });
  expect((await succeed(world.path, ["inspect", "mixed"])).stdout).toContain("optimal (down by Cholesky)");
});

test("what a group keeps is a part of the job", async () => {
  const data = { file: world.at("safe.jsonl"), samples: 20, seed: 42, maxTokens: 64, systemPrompts: "none" } as const;
  const other = prepareOptions(world.at("aligned"), world.at("spectra"), {
    ...{ data, modes: ["optimal"], optimalPart: states.mixed },
  });
  await expect(runPrepare(other)).rejects.toThrow(/of modes optimal instead of optimal \(down by Cholesky\)/);
});

/** Commands that repair, by name. */
const repairs: Record<string, readonly string[]> = {
  share: ["--tuned", "tuned", "--loss", "0.1"],
  strength: ["--tuned", "tuned", "--strength", "3"],
  pooled: ["--tuned", "tuned", "--global-loss", "0.1"],
  task: ["--tuned", "tuned", "--loss", "0.1", "--task-data", "task.jsonl", ...drawFlags],
  lora: ["--tuned", "adapter", "--loss", "0.1", "--out-format", "lora"],
  pooledLora: ["--tuned", "adapter", "--global-loss", "0.1", "--out-format", "lora"],
};

const valuesIn = (name: string, out: string) => valuesOf(/lora/i.test(name) ? `${world.at("aligned")}+${out}` : out);

for (const [name, flags] of Object.entries(repairs)) {
  describe(name, () => {
    const apply = (state: string) =>
      jsonOf(world.path, ["apply", "--aligned", "aligned", "--state", state, ...flags, "--out", `${state}-${name}`]);
    let expected: Awaited<ReturnType<typeof apply>>;
    beforeAll(async () => {
      expected = await apply("spectra");
    });

    test.each(["hessians", "mixed"])(
      "%s: the repair is the one of spectra, and verify finds its numbers",
      async (state) => {
        const found = await apply(state);
        const out = (from: string) => valuesIn(name, world.at(`${from}-${name}`));
        const gap = largestGap(await out(state), await out("spectra"));
        expect(gap).toBeLessThan(1e-5); // of changes of 0.02
        const { safetyLoss, fullSafetyLoss, utilityGap } = found.totals;
        expect(Math.abs(safetyLoss / expected.totals.safetyLoss - 1)).toBeLessThan(2e-4);
        expect(Math.abs(utilityGap / expected.totals.utilityGap - 1)).toBeLessThan(1e-3);
        if (/pooled/.test(name)) expect(safetyLoss).toBeLessThanOrEqual(0.1 * fullSafetyLoss);
        const verified = await jsonOf(world.path, ["verify", `${state}-${name}`]);
        expect(verified).toMatchObject({ problems: [], inputsChecked: true, stateChecked: name !== "task" });
      },
      30_000,
    );
  });
}

test("sweep foretells the numbers of apply", async () => {
  const flags = ["--loss", "0.1", "--strength", "3", "--global-loss", "0.1", "--linears"];
  for (const state of ["hessians", "mixed"]) {
    const { points } = await jsonOf(world.path, [
      ...["sweep", "--aligned", "aligned", "--tuned", "tuned", "--state", state, ...flags],
    ]);
    for (const [i, name] of ["share", "strength", "pooled"].entries()) {
      const { totals } = await Bun.file(world.at(`${state}-${name}`, "safedelta.json")).json();
      const point = points.find(({ budget }: { budget: { kind: string } }) => budget.kind === kinds[i]);
      expect(Math.abs(point.safetyLoss / totals.safetyLoss - 1)).toBeLessThan(1e-4);
      expect(Math.abs(point.utilityGap / totals.utilityGap - 1)).toBeLessThan(1e-4);
    }
  }
}, 60_000);
const kinds = ["loss", "strength", "globalLoss"];

test("a changed Hessian is noticed", async () => {
  const path = world.at("hessians/layers/000/o.safetensors");
  const bytes = await Bun.file(path).bytes();
  bytes[bytes.length - 2] ^= 0x10;
  await Bun.write(path, bytes);
  const words = ["--tuned", "tuned", "--state", "hessians", "--loss", "0.2", "--out", "never"];
  const { code, stderr } = await safedelta(world.path, ["apply", "--aligned", "aligned", ...words]);
  expect(code).toBe(4);
  expect(stderr).toContain("hessian was changed since prepare wrote it");
});
