import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { jsonOf, safedelta } from "./run.ts";
import { makeWorld, type World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makeWorld();
  await Bun.write(world.at("recipe.yaml"), "aligned: aligned\ntuned: tuned\nstate: state\nmode: exact\nkeep: 0.25\n");
  await Bun.write(world.at("drawn.yaml"), "safe-data: safe.jsonl\nsamples: 3\n");
  await Bun.write(world.at("listed.yaml"), "modes: [exact, reference]\n");
  await Bun.write(world.at("other.yaml"), "samples: 3\nmodes: exact\n");
});
afterAll(() => world[Symbol.asyncDispose]());

/** The method that an apply of the recipe takes, with more flags and variables. */
async function method(out: string, flags: readonly string[] = [], env: Record<string, string> = {}) {
  const { mode, budget } = await jsonOf(world.path, ["apply", "--recipe", "recipe.yaml", "--out", out, ...flags], {
    env,
  });
  return [mode, Object.values(budget)];
}

/** The data that a dry prepare would read. */
async function data(flags: readonly string[] = [], env: Record<string, string> = {}) {
  const args = ["prepare", "aligned", "--safe-data", "safe.jsonl", "--dry-run", "--out", "x", "-q", ...flags];
  const { safeData, parts } = await jsonOf(world.path, args, { env });
  return [safeData.nExamples, ...parts.qkv];
}

describe("flag, environment, recipe, default: the earlier wins", () => {
  test.concurrent("recipe over default", async () => {
    expect(await method("a")).toEqual(["exact", ["keep", 0.25]]);
    expect(await data()).toEqual([20, "inverse", "spectrum"]);
    expect(await data(["--recipe", "other.yaml"])).toEqual([3, "ordered"]);
    expect(await data(["--recipe", "listed.yaml"])).toEqual([20, "inverse", "ordered"]);
  });

  test.concurrent("environment over recipe and default", async () => {
    expect(await data([], { SAFEDELTA_SAMPLES: "4" })).toEqual([4, "inverse", "spectrum"]);
    expect(await data(["--recipe", "other.yaml"], { SAFEDELTA_SAMPLES: "4" })).toEqual([4, "ordered"]);
    expect(await data([], { SAFEDELTA_RECIPE: "other.yaml" })).toEqual([3, "ordered"]);
    expect(await method("b", [], { SAFEDELTA_KEEP: "0.5" })).toEqual(["exact", ["keep", 0.5]]);
  });

  test.concurrent("a flag's variable says yes or no, nothing when empty, and an error else", async () => {
    const tried = async (word: string) => {
      const env = { SAFEDELTA_DRY_RUN: word };
      const args = [
        "prepare",
        "aligned",
        "--safe-data",
        "safe.jsonl",
        "--samples",
        "1",
        "--out",
        `${word || "empty"}-run`,
      ];
      const { code, stdout, stderr } = await safedelta(world.path, args, { env });
      return code === 0 ? stdout.includes("nothing was written") : stderr;
    };
    expect(await Promise.all(["1", "yes", "TRUE", "on"].map(tried))).toEqual([true, true, true, true]);
    expect(await Promise.all(["0", "no", "off", ""].map(tried))).toEqual([false, false, false, false]);
    expect(await tried("maybe")).toMatch(/SAFEDELTA_DRY_RUN: "maybe" is neither yes nor no/);
  });

  test.concurrent("flag over environment, recipe and default", async () => {
    expect(await data(["--samples", "5"])).toEqual([5, "inverse", "spectrum"]);
    expect(await data(["--samples", "5"], { SAFEDELTA_SAMPLES: "4" })).toEqual([5, "inverse", "spectrum"]);
    expect(await data(["--samples", "5", "--recipe", "other.yaml"])).toEqual([5, "ordered"]);
    expect(await data(["--recipe", "other.yaml"], { SAFEDELTA_RECIPE: "gone.yaml" })).toEqual([3, "ordered"]);
  });

  test.concurrent("a budget takes the place of a weaker source's budget of another kind", async () => {
    expect(await method("c", ["--loss", "0.1"])).toEqual(["exact", ["loss", 0.1]]);
    expect(await method("d", [], { SAFEDELTA_GLOBAL_LOSS: "0.2" })).toEqual(["exact", ["globalLoss", 0.2]]);
    expect(await method("e", ["--loss", "0.1"], { SAFEDELTA_KEEP: "0.5" })).toEqual(["exact", ["loss", 0.1]]);
  });

  test.concurrent("so does --safe-data with a recipe's state", async () => {
    const flags = ["--safe-data", "safe.jsonl", "--dry-run", "--out", "x"];
    const plan = await jsonOf(world.path, ["apply", "--recipe", "recipe.yaml", ...flags]);
    expect(plan.prepare.safeData).toMatchObject({ nExamples: 20 });
  });

  test.concurrent("a recipe's samples may stand beside a --state", async () => {
    const args = ["apply", "--aligned", "aligned", "--tuned", "tuned", "--state", "state", "--out", "x", "--dry-run"];
    expect(await jsonOf(world.path, [...args, "--recipe", "drawn.yaml"])).toMatchObject({ dryRun: true });
  });

  test.concurrent("switches in the environment", async () => {
    const args = ["prepare", "aligned", "--safe-data", "safe.jsonl", "--out", "x"];
    const dry = await safedelta(world.path, args, { env: { SAFEDELTA_DRY_RUN: "1", SAFEDELTA_QUIET: "true" } });
    expect(dry).toMatchObject({ code: 0, stderr: "" });
    expect(dry.stdout).toContain("nothing was written");
    const loud = await safedelta(world.path, [...args, "--dry-run"], { env: { SAFEDELTA_QUIET: "0" } });
    expect(loud.stderr).toContain("20 of 20 examples");
  });
});

describe("recipes", () => {
  test.concurrent("kebab and camel keys, sizes, lists, switches", async () => {
    for (const [i, key] of ["max-shard-size", "maxShardSize"].entries()) {
      await Bun.write(
        world.at(`shard${i}.yaml`),
        `${key}: 4KB\nrest: tuned\nloss: 0.1\nstate: state\noverwrite: false\n`,
      );
      const args = [
        "apply",
        "--recipe",
        `shard${i}.yaml`,
        "--aligned",
        "aligned",
        "--tuned",
        "tuned",
        "--out",
        `shards${i}`,
      ];
      await jsonOf(world.path, args);
      const index = await Bun.file(world.at(`shards${i}`, "model.safetensors.index.json")).json();
      expect(new Set(Object.values(index.weight_map)).size).toBeGreaterThan(5);
    }
    for (const [i, list] of ["[0.01, 0.1]", '"0.01,0.1"', "\n  - 0.01\n  - 0.1"].entries()) {
      await Bun.write(world.at(`list${i}.yaml`), `loss: ${list}\nmodes: optimal\n`);
      const pair = ["--aligned", "aligned", "--tuned", "tuned", "--state", "state"];
      const { points } = await jsonOf(world.path, ["sweep", "--recipe", `list${i}.yaml`, ...pair]);
      expect(points.map(({ budget }: { budget: { share: number } }) => budget.share)).toEqual([0.01, 0.1]);
    }
  });

  test.concurrent("a wrong value is told with the place it came from", async () => {
    await Bun.write(world.at("bad.yaml"), "samples: many\n");
    const args = ["prepare", "aligned", "--safe-data", "safe.jsonl", "--out", "x"];
    const fromRecipe = await safedelta(world.path, [...args, "--recipe", "bad.yaml"]);
    expect(fromRecipe).toMatchObject({ code: 2, stderr: expect.stringContaining("bad.yaml: samples: ") });
    const fromEnvironment = await safedelta(world.path, args, { env: { SAFEDELTA_MAX_TOKENS: "long" } });
    expect(fromEnvironment).toMatchObject({ code: 2, stderr: expect.stringContaining("SAFEDELTA_MAX_TOKENS: ") });
  });

  test.concurrent("every key of a command's schema is accepted in a recipe", async () => {
    const { properties } = await jsonOf(world.path, ["schema", "prepare"]);
    const value = ({ type, enum: names, default: preset }: { type?: string; enum?: string[]; default?: unknown }) =>
      preset ?? names?.[0] ?? (type === "boolean" ? false : undefined);
    const entries = Object.entries<Record<string, unknown>>(properties).map(([key, property]) => [
      key,
      value(property),
    ]);
    const set = Object.fromEntries(entries.filter(([, preset]) => preset !== undefined));
    expect(Object.keys(set).length).toBeGreaterThan(8);
    await Bun.write(world.at("all.yaml"), JSON.stringify({ ...set, "dry-run": true, out: "x", "max-memory": "1GB" }));
    await jsonOf(world.path, ["prepare", "aligned", "--safe-data", "safe.jsonl", "--recipe", "all.yaml"]);
  });
});
