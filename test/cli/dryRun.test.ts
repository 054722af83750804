import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { builtLibrary } from "@safedelta/engine";
import { folderHashes } from "../support/pico.ts";
import { jsonOf, succeed } from "./run.ts";
import { dataFlags, makeWorld, type World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const data = ["--safe-data", "safe.jsonl", ...dataFlags];
const pair = ["--aligned", "aligned", "--tuned", "tuned"];
const adapter = ["--aligned", "aligned", "--tuned", "adapter"];

/** Bytes of all tensors of a model folder, headers left out. */
async function weightBytes(folder: string): Promise<number> {
  return (await jsonOf(world.path, ["inspect", folder])).bytes;
}

/** Bytes that a state's tensors take. */
async function stateBytes(folder: string): Promise<number> {
  const names = (await readdir(world.at(folder), { recursive: true })).filter((name) => name.endsWith(".safetensors"));
  const sizes = await Promise.all(
    names.map(async (name) => (await jsonOf(world.path, ["inspect", `${folder}/${name}`])).bytes),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

const runs: Readonly<Record<string, readonly string[]>> = {
  prepare: ["prepare", "aligned", ...data, "--out", "new/state"],
  "apply from a state": ["apply", ...pair, "--state", "state", "--out", "new/out"],
  "apply from safe data": ["apply", ...pair, ...data, "--out", "new/out"],
  "apply with task data": ["apply", ...pair, "--state", "state", "--task-data", "task.jsonl", "--out", "new/out"],
  "apply to an adapter": ["apply", ...adapter, "--state", "state", "--out-format", "lora", "--out", "new/out"],
};

describe("--dry-run", () => {
  for (const [what, args] of Object.entries(runs)) {
    test(`${what}: writes nothing, and prints plan, sizes and a time guess`, async () => {
      const before = await folderHashes(world.path);
      const dry = [...args, "--dry-run"];
      const [{ stdout }, plan] = await Promise.all([succeed(world.path, dry), jsonOf(world.path, dry)]);
      expect(await folderHashes(world.path)).toEqual(before);
      expect(await readdir(world.path)).not.toContain("new");
      expect(stdout).toMatch(/would write new\/\w+: .* on disk.*of memory, \S+ TFLOP, about /);
      expect(stdout).toContain("nothing was written");
      expect(plan).toMatchObject({ dryRun: true, out: args.at(-1) });
      for (const key of ["flop", "memoryBytes", "seconds"]) expect(plan.estimate[key]).toBeGreaterThan(0);
    });
  }

  test("prepare tells of fewer safe examples than --samples asks for; the default is no wish", async () => {
    const args = [
      "prepare",
      "aligned",
      "--safe-data",
      "safe.jsonl",
      "--max-tokens",
      "64",
      "--dry-run",
      "--out",
      "new/state",
    ];
    const few = await succeed(world.path, [...args, "--samples", "21"]);
    expect(few.stderr).toContain(
      "warning: safe.jsonl: holds 20 examples, fewer than --samples 21; all of them are taken.",
    );
    expect((await succeed(world.path, args)).stderr).not.toContain("fewer than");
  });

  test("the time guess is by the rate of the engine that was opened, which is named", async () => {
    const args = [...runs["apply from safe data"], "--dry-run"];
    const says: [flags: string[], device: string, gflops: number][] = [
      [["--engine", "wasm"], "wasm", 30],
      [["--engine", "reference"], "reference", 0.25],
    ];
    if ((await builtLibrary("native")) !== undefined) says.push([["--engine", "native", "--threads", "3"], "cpu", 150]);
    for (const [flags, name, gflops] of says) {
      const { stdout } = await succeed(world.path, [...args, ...flags]);
      const lines = stdout.match(new RegExp(`, about [^,]+ at ${gflops} GFLOP/s, assumed of ${name}$`, "gm"));
      expect(lines).toHaveLength(2);
      const { assumed, estimate, prepare } = await jsonOf(world.path, [...args, ...flags]);
      expect(assumed).toEqual({ name, basis: expect.any(String), productFlops: gflops * 1e9 });
      for (const { flop, seconds } of [estimate, prepare.estimate]) expect(seconds).toBe(flop / (gflops * 1e9));
    }
  });

  test("the sizes are those of what is then written", async () => {
    const plan = async (name: string) => (await jsonOf(world.path, [...runs[name], "--dry-run"])).estimate;
    const { stateBytes: planned, workBytes } = await plan("prepare");
    await succeed(world.path, runs.prepare.with(-1, "state2"));
    expect(await stateBytes("state2")).toBe(planned);
    expect(workBytes).toBeGreaterThan(0);
    expect((await plan("apply from a state")).outputBytes).toBe(await weightBytes("aligned"));
    expect((await plan("apply with task data")).workBytes).toBeGreaterThan(0);
    expect((await plan("apply to an adapter")).outputBytes).toBe(await weightBytes("adapter"));
  });

  test("--max-memory is honoured, or refused with what would be needed", async () => {
    const { estimate } = await jsonOf(world.path, [...runs.prepare, "--dry-run"]);
    await succeed(world.path, [...runs.prepare, "--dry-run", "--max-memory", String(estimate.memoryBytes)]);
    const needed = `${Math.ceil((10 * estimate.memoryBytes) / 2 ** 20) / 10} MiB`;
    await expect(
      succeed(world.path, [...runs.prepare, "--dry-run", "-q", "--max-memory", String(estimate.memoryBytes - 1)]),
    ).rejects.toThrow(`exit 5\n${"error: prepare needs about "}${needed}`);
  });
});
