import { expect, setDefaultTimeout, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { openEngine } from "@safedelta/engine";
import { type FinetuneOptions, finetune, type Progress, silent } from "@safedelta/pipeline";
import { enginesHere } from "../engine/engines.ts";
import { scratchFolder } from "../support/pico.ts";

setDefaultTimeout(120_000);

/** Those that this machine has. */
const engines = (await enginesHere()).filter(({ missing }) => !missing).map(({ name }) => name);
const folder = join(import.meta.dir, "fixtures", "curve");

/** What PyTorch computed, and with which settings: see make_expected.py. */
const expected = await Bun.file(join(folder, "curve.json")).json();

function optionsOf(out: string): FinetuneOptions {
  const { lr, schedule, warmup, clip, weight_decay, betas, eps, batch, epochs, updates, seed } = expected.settings;
  return {
    model: folder,
    data: join(folder, "data.jsonl"),
    out,
    weights: "f32",
    part: "all",
    rate: lr,
    ...{ schedule, warmup, epochDecay: 1, clip, batch, epochs, seed },
    adamW: { beta1: betas[0], beta2: betas[1], eps, weightDecay: weight_decay },
    maxUpdates: updates,
    maxTokens: 64,
    passTokens: 1024,
    saveMinutes: 60,
    maxShardBytes: 5e9,
    offline: true,
    overwrite: false,
  };
}

test("what is quickly kept is kept long before --save-minutes: an interruption loses little", async () => {
  await using scratch = await scratchFolder();
  using engine = (await openEngine("wasm")).engine;
  const out = join(scratch.path, "out");
  let steps = 0;
  const slow: Progress = {
    ...silent,
    step(detail = "") {
      if (!detail.startsWith("loss")) return;
      Bun.sleepSync(500);
      steps += 1;
      if (steps === 3) throw new Error("interrupted");
    },
  };
  await expect(finetune(engine, optionsOf(out), () => new Map(), slow)).rejects.toThrow("interrupted");
  const kept = (await readdir(`${out}.safedelta-work`)).filter((name) => /^update-\d+\.json$/.test(name));
  expect(kept.length).toBe(1);
});

test.each(engines)("100 updates on %s have PyTorch's losses and gradient norms", async (name) => {
  await using scratch = await scratchFolder();
  using engine = (await openEngine(name)).engine;
  const { log } = await finetune(engine, optionsOf(join(scratch.path, "out")), () => new Map(), silent);
  expect(log.length).toBe(100);
  expect(log[0].loss).toBeGreaterThan(5);
  expect(log[99].loss).toBeLessThan(2);
  for (const [i, { loss, gradientNorm }] of log.entries()) {
    // What each rounds differently in an update is still there in the next: the gap grows along the way.
    const tolerance = 2e-6 + 1e-6 * i;
    expect(Math.abs(loss / expected.loss[i] - 1)).toBeLessThan(tolerance);
    expect(Math.abs(gradientNorm / expected.gradientNorm[i] - 1)).toBeLessThan(5 * tolerance);
  }
});
