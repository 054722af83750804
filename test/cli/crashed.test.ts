import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { appendFile, cp, mkdir, readdir, rename, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { folderHashes } from "../support/pico.ts";
import { goOn } from "./kill.ts";
import { safedelta, succeed } from "./run.ts";
import { dataFlags, largestGap, makeWorld, valuesOf, type World } from "./world.ts";

/** Moments that a random kill seldom meets, made by hand: what a run leaves when it is killed just then. */

setDefaultTimeout(300_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const data = ["--safe-data", "safe.jsonl", ...dataFlags];
const apply = ["apply", "--aligned", "aligned", "--tuned", "tuned", "--state", "state"];
const adapter = ["apply", "--aligned", "aligned", "--tuned", "adapter", "--state", "state", "--out-format", "lora"];
const task = ["--task-data", "task.jsonl", "--samples", "20"];
const work = ".safedelta-work";

/** An apply that stops after its first layer, since a file of the state is away for a while. */
async function stopInTheMiddle(args: readonly string[]): Promise<void> {
  const [there, away] = [
    `${world.at(args[args.indexOf("--state") + 1])}/layers/001/qkv.safetensors`,
    world.at(`${args.at(-1)}.away`),
  ];
  await rename(there, away);
  expect((await safedelta(world.path, args)).stderr).toContain("layers/001/qkv.safetensors");
  await rename(away, there);
}

/** An apply that fails at its last step, since something is in the way of its model card: all is done, nothing has moved. */
async function stopAtTheEnd(args: readonly string[]): Promise<void> {
  await stopInTheMiddle(args);
  const obstacle = world.at(args.at(-1) ?? "", work, "README.md.partial");
  await mkdir(obstacle);
  expect((await safedelta(world.path, args)).stderr).toContain("README.md");
  await rm(obstacle, { recursive: true });
}

/** Flags with a state of the test's own. */
async function ownState(name: string): Promise<string[]> {
  await cp(world.at("state"), world.at(name), { recursive: true });
  return ["--aligned", "aligned", "--tuned", "tuned", "--state", name];
}

describe("apply killed while its files take their final place", () => {
  const shards = ["--max-shard-size", "4KB"];
  for (const [kind, more] of Object.entries({ "one file": [], shards })) {
    test.concurrent(kind, async () => {
      const folder = `moves ${kind}`;
      const [out, args] = [world.at(folder), ["apply", ...(await ownState(`state ${kind}`)), ...more, "--out", folder]];
      await succeed(world.path, args);
      const whole = await folderHashes(out);
      await cp(out, world.at(`${folder} whole`), { recursive: true });
      await rm(out, { recursive: true });
      await stopAtTheEnd(args);
      await appendFile(world.at(folder, work, "journal.jsonl"), '{"committed":true}\n');
      await cp(out, world.at(`${folder} stopped`), { recursive: true });

      const weights = Object.keys(whole).filter((name) => name.endsWith(".safetensors"));
      const others = Object.keys(whole).filter((name) => !name.endsWith(".safetensors"));
      const described = [...weights, "README.md", "report.html", "safedelta.json"];
      const all = [...weights, ...others];
      const orders = kind === "shards" ? [weights.slice(0, 1), described, all] : [[], weights, all];
      for (const done of orders) {
        await rm(out, { recursive: true });
        await cp(world.at(`${folder} stopped`), out, { recursive: true });
        for (const name of done) {
          await cp(world.at(`${folder} whole`, name), world.at(folder, name));
          await rm(world.at(folder, work, name), { force: true });
        }
        const beside = `${folder}${work}`;
        if (done === all)
          for (const left of [beside, `${beside}.removed`])
            await mkdir(world.at(left, "state/layers"), { recursive: true });
        await (done === all ? goOn : succeed)(world.path, args);
        expect(await folderHashes(out)).toEqual(whole);
        for (const left of [beside, `${beside}.removed`]) expect(await readdir(world.path)).not.toContain(left);
      }
    });
  }

  test.concurrent("an adapter", async () => {
    const args = [...adapter, "--out", "moved-adapter"];
    await succeed(world.path, args);
    const whole = await folderHashes(world.at("moved-adapter"));
    await mkdir(world.at("moved-adapter", work, "adapter"), { recursive: true });
    for (const name of ["README.md", "adapter_config.json"])
      await cp(world.at("moved-adapter", name), world.at("moved-adapter", work, "adapter", name));
    await rm(world.at("moved-adapter/adapter_config.json"));
    await succeed(world.path, args);
    expect(await folderHashes(world.at("moved-adapter"))).toEqual(whole);
  });

  for (const [kind, words] of Object.entries({ model: apply, adapter }))
    test.concurrent(`after the last move of a ${kind}, its traces are taken away by the same command`, async () => {
      const folder = `last-${kind}`;
      await succeed(world.path, [...words, "--out", folder]);
      const whole = await folderHashes(world.at(folder));
      for (const more of [[], ["--loss", "0.5"]]) {
        await mkdir(world.at(folder, work, "adapter"), { recursive: true });
        await Bun.write(world.at(folder, await lockOfTheDead()), "");
        const { code, stderr } = await safedelta(world.path, [...words, ...more, "--out", folder]);
        expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("is there already") });
        expect(await readdir(world.at(folder))).not.toContain(work);
        expect(await folderHashes(world.at(folder))).toEqual(whole);
      }
    });

  for (const [kind, tuned] of Object.entries({ model: ["--tuned", "tuned"], adapter: adapter.slice(3, 5) }))
    test.concurrent(`a refused command leaves alone what an unfinished --overwrite of a ${kind} prepared beside it`, async () => {
      const folder = `over-${kind}`;
      const format = kind === "adapter" ? ["--out-format", "lora"] : [];
      const args = ["apply", "--aligned", "aligned", ...tuned, ...format, ...data, "--out", folder];
      await succeed(world.path, args);
      expect(await readdir(world.path)).not.toContain(`${folder}${work}`);
      const prepared = world.at(`${folder}${work}`, "state/work/job.json");
      await Bun.write(prepared, "{}");
      expect(await safedelta(world.path, args)).toMatchObject({ code: 2 });
      expect(await Bun.file(prepared).exists()).toBe(true);
    });
});

/** The name of the lock of a process that has ended. */
async function lockOfTheDead(): Promise<string> {
  const child = Bun.spawn(["true"]);
  await child.exited;
  return `.safedelta-lock+${hostname().replaceAll(/[+/]/g, "-")}+${child.pid}+1+0`;
}

describe("prepare killed at its ends", () => {
  const args = ["prepare", "aligned", ...data, "--out", "ends"];
  test.concurrent("before the folder was its own, and after the state was whole", async () => {
    await succeed(world.path, args);
    const whole = await folderHashes(world.at("ends"));
    await mkdir(world.at("ends/work"));
    await Bun.write(world.at("ends/work/hidden-002.f32"), "x");
    await succeed(world.path, args);
    expect(await folderHashes(world.at("ends"))).toEqual(whole);
    await rm(world.at("ends"), { recursive: true });
    await Bun.write(world.at("ends/work/job.json.part"), "{");
    await succeed(world.path, args);
    expect(await folderHashes(world.at("ends"))).toEqual(whole);
  });
});

describe("unfinished work is never mixed with another run's", () => {
  test.concurrent("other task tokens: refused without --overwrite, made anew with it", async () => {
    const flags = await ownState("state-mixed");
    const taskArgs = (tokens: string) => ["apply", ...flags, ...task, "--max-tokens", tokens, "--out", "mixed"];
    await succeed(world.path, taskArgs("16"));
    const expected = await folderHashes(world.at("mixed"));
    await rm(world.at("mixed"), { recursive: true });
    await stopInTheMiddle(taskArgs("64"));
    const refused = await safedelta(world.path, taskArgs("16"));
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("holds unfinished work of another run") });
    await succeed(world.path, [...taskArgs("16"), "--overwrite"]);
    expect(await folderHashes(world.at("mixed"))).toEqual(expected);
  });

  test.concurrent("an input that changed meanwhile is refused, and made anew with --overwrite", async () => {
    await cp(world.at("tuned"), world.at("moving"), { recursive: true });
    const flags = (await ownState("state-changed")).with(3, "moving");
    const args = ["apply", ...flags, "--out", "changed"];
    await stopInTheMiddle(args);
    await cp(world.at("aligned/model.safetensors"), world.at("moving/model.safetensors"));
    const refused = await safedelta(world.path, args);
    expect(refused).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/changed in .* since the interrupted run/),
    });
    await succeed(world.path, [...args, "--overwrite"]);
    expect(largestGap(await valuesOf(world.at("changed")), await valuesOf(world.at("aligned")))).toBe(0);
  });

  test.concurrent("a finished tensor that was damaged since is made again", async () => {
    const args = ["apply", ...(await ownState("state-damaged")), ...task, "--out", "damaged"];
    await succeed(world.path, args);
    const whole = await folderHashes(world.at("damaged"));
    await rm(world.at("damaged"), { recursive: true });
    await stopAtTheEnd(args);
    const path = world.at("damaged", work, "model.safetensors");
    const bytes = new Uint8Array(await Bun.file(path).arrayBuffer());
    const first = new DataView(bytes.buffer).getBigUint64(0, true);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + Number(first))));
    const [start] = header["model.layers.0.mlp.down_proj.weight"].data_offsets;
    bytes[8 + Number(first) + start] ^= 1;
    await Bun.write(path, bytes);
    await succeed(world.path, args);
    expect(await folderHashes(world.at("damaged"))).toEqual(whole);
  });
});
