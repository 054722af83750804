import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { lockFolder, openState, silent } from "@safedelta/pipeline";
import { folderHashes, scratchFolder } from "../support/pico.ts";
import {
  applyOptions,
  Interruption,
  interruptAt,
  prepareOptions,
  runApply,
  runPrepare,
  safeData,
  writePair,
} from "./job.ts";

let scratch: Awaited<ReturnType<typeof scratchFolder>>;
let aligned: string;
let whole: string;
let expected: Record<string, string>;

beforeAll(async () => {
  scratch = await scratchFolder();
  ({ aligned } = await writePair(scratch.path));
  whole = join(scratch.path, "whole");
  await runPrepare(prepareOptions(aligned, whole));
  expected = await folderHashes(whole);
});
afterAll(() => scratch[Symbol.asyncDispose]());

async function copyOfState(name: string): Promise<string> {
  const out = join(scratch.path, name);
  await cp(whole, out, { recursive: true });
  return out;
}

describe("a damaged state", () => {
  const damages: Record<string, (out: string) => Promise<unknown>> = {
    "a file gone": (out) => rm(join(out, "layers/001/o.safetensors")),
    "a file of another layer": (out) =>
      cp(join(out, "layers/000/o.safetensors"), join(out, "layers/001/o.safetensors")),
    "a file cut short": async (out) => {
      const path = join(out, "layers/000/qkv.safetensors");
      const bytes = await Bun.file(path).bytes();
      await Bun.write(path, bytes.slice(0, bytes.length / 2));
    },
  };
  for (const [what, damage] of Object.entries(damages)) {
    test(`${what}: prepare does not call it done, and makes it again with --overwrite`, async () => {
      const out = await copyOfState(what);
      await damage(out);
      await expect(runPrepare(prepareOptions(aligned, out))).rejects.toThrow(/layers\/.*--overwrite/s);
      await runPrepare(prepareOptions(aligned, out, { overwrite: true }));
      expect(await folderHashes(out)).toEqual(expected);
    });
  }

  test("a manifest that cannot be read is replaced with --overwrite only", async () => {
    const out = await copyOfState("torn");
    await Bun.write(join(out, "state.json"), "{");
    await expect(runPrepare(prepareOptions(aligned, out))).rejects.toThrow(
      /damaged or of a former format.*--overwrite/,
    );
    await runPrepare(prepareOptions(aligned, out, { overwrite: true }));
    expect(await folderHashes(out)).toEqual(expected);
  });
});

describe("a prepare that goes on with work that was damaged meanwhile", () => {
  const flip = async (path: string, at: number) => {
    const bytes = await Bun.file(path).bytes();
    bytes[at < 0 ? bytes.length + at : at] ^= 0x10;
    await Bun.write(path, bytes);
  };
  const damages: Record<string, { readonly warns: boolean; readonly damage: (work: string) => Promise<unknown> }> = {
    "hidden states": { warns: false, damage: (work) => flip(join(work, "hidden-001.f32"), 6) },
    "the checksums of the hidden states": { warns: false, damage: (work) => rm(join(work, "hidden-001.sums")) },
    "a finished piece": { warns: true, damage: (work) => flip(join(work, "layers/000/qkv.safetensors"), -3) },
    "a finished piece gone": { warns: true, damage: (work) => rm(join(work, "layers/000/o.safetensors")) },
    "the list of a finished layer": {
      warns: true,
      damage: (work) => Bun.write(join(work, "layers/000/layer.json"), "{"),
    },
  };
  for (const [what, { warns, damage }] of Object.entries(damages)) {
    test(`${what}: ends with the same bytes`, async () => {
      const out = join(scratch.path, `resumed ${what}`);
      await cutInLayerOne(out);
      await damage(join(out, "work"));
      const warnings: string[] = [];
      await runPrepare(prepareOptions(aligned, out), { ...silent, warn: (text) => warnings.push(text) });
      expect(await folderHashes(out)).toEqual(expected);
      expect(warnings).toEqual(warns ? [expect.stringContaining("was damaged, so all are made again")] : []);
    });
  }

  /** Interrupt a prepare when layer 0 is finished and layer 1 is not. */
  async function cutInLayerOne(out: string): Promise<void> {
    const step = (detail = "") => {
      if (detail.includes("layer 1")) throw new Interruption("in layer 1");
    };
    await expect(runPrepare(prepareOptions(aligned, out), { ...silent, step })).rejects.toThrow(Interruption);
    expect(existsSync(join(out, "work/hidden-001.f32"))).toBe(true);
    expect(existsSync(join(out, "work/layers/000/layer.json"))).toBe(true);
  }
});

test("a state that lost its state.json is told so, with a way out", async () => {
  const out = await copyOfState("lost");
  await rm(join(out, "state.json"));
  await expect(openState(out)).rejects.toThrow(/has lost its state\.json.*another --out/);
});

test("a state of a former format, its job beside it, is replaced with --overwrite only", async () => {
  const out = join(scratch.path, "former");
  await mkdir(join(out, "layers/000"), { recursive: true });
  await Bun.write(join(out, "job.json"), '{"fingerprint": "former"}');
  await Bun.write(join(out, "state.json"), '{"format": 1, "parts": []}');
  await expect(openState(out)).rejects.toThrow(/format 1 is not known.*--overwrite/);
  await expect(runPrepare(prepareOptions(aligned, out))).rejects.toThrow(/--overwrite/);
  await runPrepare(prepareOptions(aligned, out, { overwrite: true }));
  expect(await folderHashes(out)).toEqual(expected);
});

test("a state that serves more modes than are asked for is taken as it is", async () => {
  const out = await copyOfState("more");
  const { manifest, sha256 } = await openState(out);
  expect(manifest.parts.qkv.length).toBeGreaterThan(1);
  const again = await runPrepare(prepareOptions(aligned, out, { modes: ["optimal"] }));
  expect(again.sha256).toBe(sha256);
  expect(await folderHashes(out)).toEqual(expected);
});

test("a state that is not the wanted one is refused with what tells them apart", async () => {
  const out = await copyOfState("apart");
  const refused = (change: Parameters<typeof prepareOptions>[2]) => runPrepare(prepareOptions(aligned, out, change));
  await expect(refused({ data: { ...safeData, seed: 2 } })).rejects.toThrow(
    /holds a state of seed \d+ instead of 2\. Choose/,
  );
  await expect(refused({ data: { ...safeData, maxTokens: 32 } })).rejects.toThrow(
    /max-tokens \d+ instead of 32\. Choose/,
  );
  const one = join(scratch.path, "one");
  await runPrepare(prepareOptions(aligned, one, { modes: ["exact"] }));
  await expect(runPrepare(prepareOptions(aligned, one, { modes: ["optimal"] }))).rejects.toThrow(
    /holds a state of modes exact instead of optimal\. Choose/,
  );
});

test("a number of state.json that was changed is noticed by its seal", async () => {
  const out = await copyOfState("sealed");
  const path = join(out, "state.json");
  const manifest = await Bun.file(path).json();
  manifest.layers[0].groups[0].meanDiagonal *= 2;
  await Bun.write(path, JSON.stringify(manifest));
  await expect(openState(out)).rejects.toThrow(/state\.json: was changed since prepare wrote it.*--overwrite/);
});

test("a state serves until the one that replaces it is whole", async () => {
  const out = await copyOfState("replaced");
  const { sha256 } = await openState(out);
  const other = { data: { ...safeData, seed: 2 }, overwrite: true };
  let step = 1;
  for (; ; step++) {
    try {
      await runPrepare(prepareOptions(aligned, out, other), interruptAt(step));
      break;
    } catch (error) {
      expect(error).toBeInstanceOf(Interruption);
    }
    expect((await openState(out)).sha256).toBe(sha256);
  }
  expect(step).toBeGreaterThan(2);
  expect((await openState(out)).sha256).not.toBe(sha256);
  expect((await readdir(out)).sort()).toEqual(["layers", "state.json"]);
});

describe("a kill while a whole state moves to its place", () => {
  /** What stands after each step of the move. */
  const moments: Record<string, (out: string) => Promise<unknown>> = {
    "before it": async () => {},
    "the former state.json gone": (out) => rm(join(out, "state.json")),
    "the former layers gone": async (out) => {
      await rm(join(out, "state.json"));
      await rm(join(out, "layers"), { recursive: true });
    },
    "the new layers there": async (out) => {
      await rm(join(out, "state.json"));
      await rm(join(out, "layers"), { recursive: true });
      await rename(join(out, "work/layers"), join(out, "layers"));
    },
    "the new state.json there": async (out) => {
      await rm(join(out, "layers"), { recursive: true });
      await rename(join(out, "work/layers"), join(out, "layers"));
      await rename(join(out, "work/state.json"), join(out, "state.json"));
    },
  };
  for (const [moment, make] of Object.entries(moments)) {
    test(moment, async () => {
      const out = await copyOfState(`moment ${moment}`);
      const former = join(scratch.path, `former ${moment}`);
      await runPrepare(prepareOptions(aligned, former, { data: { ...safeData, seed: 2 } }));
      const {
        toolVersion,
        engine,
        model,
        safeData: read,
        damping,
        parts,
      } = await Bun.file(join(whole, "state.json")).json();
      const { file: _, ...data } = read;
      await rename(out, `${out}.new`);
      await rename(former, out);
      await rename(`${out}.new`, join(out, "work"));
      await Bun.write(
        join(out, "work/job.json"),
        JSON.stringify({ toolVersion, engine, model: model.sha256, data, damping, parts }),
      );
      await make(out);
      await runPrepare(prepareOptions(aligned, out, { overwrite: true }));
      expect(await folderHashes(out)).toEqual(expected);
    });
  }
});

describe("one run in a folder at a time", () => {
  test("prepare and apply are refused where another run works, and leave nothing there", async () => {
    const out = join(scratch.path, "busy");
    const pair = { aligned, tuned: join(scratch.path, "tuned") };
    {
      await using _held = await lockFolder(out);
      const refusal = /another run is writing here \(process \d+\)/;
      await expect(runPrepare(prepareOptions(aligned, out, { overwrite: true }))).rejects.toThrow(refusal);
      await expect(runApply(applyOptions(pair, whole, out, { overwrite: true }))).rejects.toThrow(refusal);
      expect((await readdir(out)).length).toBe(1);
    }
    expect(existsSync(out)).toBe(false);
    await runApply(applyOptions(pair, whole, out));
    expect((await readdir(out)).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("of two applies at once one is refused, and the other ends as if alone", async () => {
    const pair = { aligned, tuned: join(scratch.path, "tuned") };
    const [alone, out] = [join(scratch.path, "alone"), join(scratch.path, "both")];
    await runApply(applyOptions(pair, whole, alone));
    const budgets = [0.1, 0.2].map((share) => ({ budget: { kind: "loss", share }, overwrite: true }) as const);
    const runs = await Promise.allSettled(budgets.map((change) => runApply(applyOptions(pair, whole, out, change))));
    expect(runs.filter(({ status }) => status === "rejected").length).toBeGreaterThanOrEqual(1);
    await runApply(applyOptions(pair, whole, out, { overwrite: true }));
    expect(await folderHashes(out)).toEqual(await folderHashes(alone));
  });

  test("what a killed process left does not keep anyone out; a run of another machine does", async () => {
    const out = await copyOfState("locks");
    const child = Bun.spawn(["true"]);
    await child.exited;
    const { hostname } = await import("node:os");
    const dead = join(out, `.safedelta-lock+${hostname()}+${child.pid}+1+0`);
    await Bun.write(dead, "");
    await runPrepare(prepareOptions(aligned, out));
    expect(existsSync(dead)).toBe(false);
    await Bun.write(join(out, `.safedelta-lock+elsewhere+${process.pid}+1+0`), "");
    await expect(runPrepare(prepareOptions(aligned, out))).rejects.toThrow(/on elsewhere; if that is gone, remove/);
  });

  test.skipIf(process.platform !== "linux")(
    "a killed process whose parent has not asked for it yet keeps no one out",
    async () => {
      const out = await copyOfState("zombie");
      const { hostname } = await import("node:os");
      // The shell becomes a sleep that never asks for its child; the child ends at once and stays a zombie.
      const parent = Bun.spawn(["sh", "-c", "(sleep 0.2) & echo $!; exec sleep 30"], { stdout: "pipe" });
      try {
        const { value } = await parent.stdout.getReader().read();
        const pid = Number(new TextDecoder().decode(value));
        const stat = () => Bun.file(`/proc/${pid}/stat`).text();
        const start = (await stat()).split(") ")[1].split(" ")[19];
        const lock = join(out, `.safedelta-lock+${hostname()}+${pid}+${start}+0`);
        await Bun.write(lock, "");
        while (!(await stat()).includes(") Z ")) await Bun.sleep(20);
        await runPrepare(prepareOptions(aligned, out));
        expect(existsSync(lock)).toBe(false);
      } finally {
        parent.kill();
      }
    },
  );

  test("a later process of the same number is not the one that left a lock", async () => {
    const out = await copyOfState("reused");
    const { hostname } = await import("node:os");
    await Bun.write(join(out, `.safedelta-lock+${hostname()}+${process.pid}+1+0`), "");
    await runPrepare(prepareOptions(aligned, out));
    expect(await folderHashes(out)).toEqual(expected);
  });
});

test("what tells states apart is only what stands in the way", async () => {
  const out = await copyOfState("in the way");
  const refused = (change: Parameters<typeof prepareOptions>[2]) => runPrepare(prepareOptions(aligned, out, change));
  await expect(refused({ modes: ["reference"], data: { ...safeData, seed: 7 } })).rejects.toThrow(
    /holds a state of seed \d+ instead of 7\. Choose/,
  );
  const [grown, edited] = ["grown.jsonl", "edited.jsonl"].map((name) => join(scratch.path, name));
  const lines = (await Bun.file(safeData.file).text()).trim().split("\n");
  await Bun.write(grown, [...lines, ...lines.slice(0, 5)].join("\n"));
  await expect(refused({ data: { ...safeData, file: grown, samples: 25 } })).rejects.toThrow(
    `other safe data (20 of ${lines.length} examples instead of 25 of ${lines.length + 5} examples). Choose`,
  );
  await Bun.write(edited, lines.map((line) => line.replace(/"content": ?"/, "$&again ")).join("\n"));
  await expect(refused({ data: { ...safeData, file: edited } })).rejects.toThrow(
    /holds a state of other safe data\. Choose/,
  );
});
