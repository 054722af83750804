import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdir, rm } from "node:fs/promises";
import { folderHashes } from "../support/pico.ts";
import { Random } from "../support/random.ts";
import { goOn, killedBeforeItsEnd } from "./kill.ts";
import { succeed } from "./run.ts";
import { dataFlags, drawFlags, makeWorld, type World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const data = ["--safe-data", "safe.jsonl", ...dataFlags];
const apply = ["apply", "--aligned", "aligned", "--tuned", "tuned"];
const task = ["--task-data", "task.jsonl", ...drawFlags];
const tune = ["finetune", "aligned", "--data", "task.jsonl", "--batch", "4", "--epochs", "4", "--save-minutes", "0"];
const shards = ["--max-shard-size", "4KB"];

const jobs: Readonly<Record<string, readonly string[]>> = {
  prepare: ["prepare", "aligned", ...data, "--modes", "reference,exact,optimal"],
  apply: [...apply, "--state", "state"],
  "apply, task data, shards": [...apply, "--state", "state", ...task, ...shards],
  "apply, state on the way": [...apply, ...data],
  finetune: [...tune, "--max-shard-size", "20KB"],
  "finetune, adapter": [...tune, "--lora-rank", "2"],
  "apply, adapter": ["apply", "--aligned", "aligned", "--tuned", "adapter", "--state", "state", "--out-format", "lora"],
};

/** Names that make a folder look like a finished state, model or adapter. */
const finished = ["state.json", "config.json", "adapter_config.json", "model.safetensors.index.json"];

/** @throws unless an interrupted output is either not finished to look at, or really is */
async function expectHonest(out: string, whole: Readonly<Record<string, string>>): Promise<void> {
  const files = await folderHashes(out).catch((): Record<string, string> => ({}));
  if (!finished.some((name) => name in files)) return;
  for (const name of Object.keys(whole)) {
    // Until its index is there, a model of several shards does not load either.
    if (name in files || name.endsWith("index.json")) continue;
    throw new Error(`${out} looks finished but lacks ${name}`);
  }
}

describe("kill -9 at any moment, then the same command, gives the same bytes", () => {
  for (const [i, [name, job]] of Object.entries(jobs).entries()) {
    test.concurrent(name, async () => {
      const [folder, random] = [`killed-${i}`, new Random(100 + i)];
      const [out, args] = [world.at(folder), [...job, "--out", folder]];
      await succeed(world.path, args);
      const whole = await folderHashes(out);
      await rm(out, { recursive: true });
      for (const limit of [4, 40]) {
        const { code } = await killedBeforeItsEnd(world.path, random.int(1, limit), "SIGKILL", args, out);
        expect(code).toBe(137);
        await expectHonest(out, whole);
      }
      await goOn(world.path, args);
      expect(await folderHashes(out)).toEqual(whole);
      expect(await readdir(world.path)).not.toContain(`${folder}.safedelta-work`);
    });
  }
});

describe("Ctrl-C", () => {
  for (const name of ["prepare", "apply", "finetune"]) {
    test.concurrent(`${name}: exit 130, and the same command goes on`, async () => {
      const folder = `interrupted ${name}`;
      const [out, args] = [world.at(folder), [...jobs[name], "--out", folder]];
      await succeed(world.path, args);
      const whole = await folderHashes(out);
      await rm(out, { recursive: true });
      const { code, stdout, stderr } = await killedBeforeItsEnd(world.path, 2, "SIGINT", args, out);
      expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
      expect(stderr).toMatch(/interrupted; finished pieces are kept, and the same command goes on\n$/);
      await expectHonest(out, whole);
      await succeed(world.path, args);
      expect(await folderHashes(out)).toEqual(whole);
    });
  }
});
