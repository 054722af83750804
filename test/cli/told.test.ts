/** What every command that computes tells of its engine and of memory. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeSafetensors } from "@safedelta/checkpoint";
import { builtLibrary } from "@safedelta/engine";
import { jsonOf, safedelta, succeed } from "./run.ts";
import { dataFlags, makeWorld, type World } from "./world.ts";

setDefaultTimeout(60_000); // children wait for their turn

const pair = ["--aligned", "aligned", "--tuned", "tuned"];
const commands: Readonly<Record<string, readonly string[]>> = {
  prepare: ["prepare", "aligned", "--safe-data", "safe.jsonl", ...dataFlags, "--dry-run", "--out", "x"],
  apply: ["apply", ...pair, "--state", "state", "--dry-run", "--out", "x"],
  sweep: ["sweep", ...pair, "--state", "state", "--modes", "optimal", "--loss", "0.1"],
  layer: ["layer", "linear.safetensors", "--overwrite", "--out", "out.safetensors"],
  verify: ["verify", "repaired"],
  generate: ["generate", "aligned", "--prompt", "hello", "--max-new-tokens", "1"],
  chat: ["chat", "aligned"],
};

let world: World;
beforeAll(async () => {
  world = await makeWorld();
  const square = (name: string, values: readonly number[]) => {
    return { name, dtype: "F32", shape: [2, 2], bytes: new Uint8Array(Float32Array.from(values).buffer) } as const;
  };
  const linear = [square("aligned", [1, 2, 3, 4]), square("tuned", [2, 2, 3, 5]), square("hessian", [2, 1, 1, 2])];
  await writeSafetensors(world.at("linear.safetensors"), linear);
  await succeed(world.path, ["apply", ...pair, "--state", "state", "--out", "repaired"]);
});
afterAll(() => world[Symbol.asyncDispose]());

describe("which engine, and why", () => {
  for (const [name, args] of Object.entries(commands)) {
    test.concurrent(name, async () => {
      const { stderr } = await succeed(world.path, [...args, "--engine", "wasm"]);
      expect(stderr).toMatch(/^engine: wasm, .+ \(asked for by name\)$/m);
      expect((await succeed(world.path, [...args, "-q"])).stderr).not.toContain("engine");
    });
  }
});

describe("--threads", () => {
  const told = async (flags: readonly string[], env: Record<string, string> = {}) =>
    (await succeed(world.path, [...commands.apply, ...flags], { env })).stderr;

  test.concurrent("flag over environment over recipe, for the native engine", async () => {
    if ((await builtLibrary("native")) === undefined) return;
    await Bun.write(world.at("threads.yaml"), "threads: 3\nengine: native\n");
    const recipe = ["--recipe", "threads.yaml"];
    const env = { SAFEDELTA_THREADS: "2" };
    expect(await told(recipe)).toMatch(/^engine: native, .*, 3 threads \(/m);
    expect(await told(recipe, env)).toMatch(/, 2 threads \(/);
    expect(await told([...recipe, "--threads", "1"], env)).toMatch(/, 1 thread \(/);
  });

  test.concurrent("a remark where it has no effect, an error for what is no number of threads", async () => {
    expect(await told(["--engine", "wasm", "--threads", "2"])).toContain(
      "--threads 2: without effect on the engine wasm",
    );
    for (const wrong of ["1000", "-1", "1.5"]) {
      const { code, stderr } = await safedelta(world.path, [...commands.layer, `--threads=${wrong}`]);
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("--threads: ") });
    }
  });
});

describe("peak memory", () => {
  for (const name of ["sweep", "layer"]) {
    test.concurrent(name, async () => {
      expect((await succeed(world.path, commands[name])).stderr).toMatch(/^peak memory: \d[\d.]* [MG]iB$/m);
      expect((await jsonOf(world.path, commands[name])).peakMemoryBytes).toBeGreaterThan(2 ** 20);
    });
  }
});
