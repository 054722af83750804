import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openEngine } from "@safedelta/engine";
import { apply, lockFolder, prepare, workUnderWay } from "@safedelta/pipeline";
import { scratchFolder } from "../support/pico.ts";
import { applyOptions, prepareOptions, writePair } from "./job.ts";

test("a state and a repair are seen from nothing to their end, piece by piece", async () => {
  await using scratch = await scratchFolder();
  const pair = await writePair(scratch.path);
  const { engine } = await openEngine("wasm");
  using _engine = engine;
  const [state, out] = [join(scratch.path, "state"), join(scratch.path, "out")];
  const seen = new Set<string>();
  const looks: Promise<void>[] = [];
  const look = async (folder: string) => {
    const { what, nDone, nAll, state } = await workUnderWay(folder);
    seen.add(`${what} ${state} ${nDone} of ${nAll}`);
  };
  const watching = (folder: string) => ({ stage() {}, step: () => void looks.push(look(folder)), warn() {} });
  expect(await workUnderWay(state)).toMatchObject({ state: "waiting" });
  await prepare(engine, prepareOptions(pair.aligned, state), watching(state));
  await apply(engine, applyOptions(pair, state, out), () => new Map(), watching(out));
  await Promise.all(looks);
  expect([...seen]).toContain("state running 1 of 2");
  expect([...seen].some((one) => /^repair running [1-9]\d* of 20$/.test(one))).toBe(true);
  expect(await workUnderWay(state)).toMatchObject({ what: "state", state: "finished" });
  await writeFile(join(out, "safedelta.json"), "{}");
  expect(await workUnderWay(out)).toMatchObject({ what: "repair", state: "finished" });
});

test("a fine-tuning tells the update that it has kept, and that no run works at it", async () => {
  await using scratch = await scratchFolder();
  const out = join(scratch.path, "out");
  const beside = join(scratch.path, "out.safedelta-work");
  await mkdir(beside);
  const look = async () => workUnderWay(out);
  const told = { folder: out, what: "fine-tuning" };
  await writeFile(join(beside, "job.json"), JSON.stringify({ fingerprint: "x", job: {}, nUpdates: 30 }));
  expect(await look()).toEqual({ ...told, nDone: 0, nAll: 30, state: "stopped" });
  await writeFile(join(beside, "update-12.json"), "{}");
  expect(await look()).toEqual({ ...told, nDone: 12, nAll: 30, state: "stopped" });
  const locked = await lockFolder(out);
  expect(await look()).toEqual({ ...told, nDone: 12, nAll: 30, state: "running" });
  await locked[Symbol.asyncDispose]();
  await writeFile(join(beside, "job.json"), "{ torn");
  expect(await look()).toMatchObject({ nDone: 12, nAll: undefined });
});
