/**
 * The repair of SmolLM2-135M's pair of adapters on the WASM engine. Covered here:
 *   - on its first two layers (real widths, a small folder): prepare and optimal repair, as a model and as a LoRA adapter;
 *   - on all 30 layers: apply from safe data in mode reference, in a process of its own whose memory is measured.
 * Not covered: optimal on all layers, whose eigendecompositions take minutes.
 */
import { describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeF32, openAdapter, openCheckpoint } from "@safedelta/checkpoint";
import { openEngine } from "@safedelta/engine";
import { applyAdapter, type DataOptions, silent } from "@safedelta/pipeline";
import { applyOptions, describeFacts, prepareOptions, runApply, runPrepare } from "../pipeline/job.ts";
import { scratchFolder } from "../support/pico.ts";
import { absent, real, realModel, withModel } from "./smollm2.ts";
import { truncatePair } from "./truncate.ts";

const nLinears = { twoLayers: 14, all: 210 };

/** Bytes of the weights of both models as f32; the limit that SmolLM2 must stay under anyway is 1.5 GiB. */
const pairBytes = 2 * 4 * 134_515_008;

/** Eight safe examples of the pair. */
const safeData = (): DataOptions => ({
  file: realModel().shared("safe.jsonl"),
  samples: 8,
  seed: 1,
  maxTokens: 512,
  systemPrompts: "none",
});

/**
 * Largest |model − merged adapter| over the error that is allowed for: the adapter's A′ is stored in 16 bits, so an entry of the
 * merge is off by at most scale · Σ |B||A′| · 2⁻¹¹, and both carry a few roundings of the f32 weight.
 */
async function worstExcess(model: string, aligned: string, adapter: string): Promise<number> {
  await using opened = new AsyncDisposableStack();
  const closing = <T extends { close(): Promise<void> }>(file: T): T => opened.adopt(file, () => file.close());
  const whole = closing(await openCheckpoint(model));
  const merged = closing(await openCheckpoint(`${aligned}+${adapter}`));
  const lora = closing(await openAdapter(adapter));
  let worst = 0;
  for (const name of lora.pairs.keys()) {
    const [x, y] = [decodeF32(await whole.read(name)), decodeF32(await merged.read(name))];
    const { a, b, r, cols, scale } = await lora.readPair(name);
    for (let at = 0; at < x.length; at++) {
      const [i, j] = [Math.floor(at / cols), at % cols];
      let size = 0;
      for (let k = 0; k < r; k++) size += Math.abs(b[i * r + k] * a[k * cols + j]);
      worst = Math.max(worst, Math.abs(x[at] - y[at]) / (scale * size * 2 ** -11 + 4 * 2 ** -24 * Math.abs(x[at])));
    }
  }
  return worst;
}

/**
 * Largest resident set of a running process in bytes, looked at ten times a second (Linux). What the system tells after its end
 * is no use: that counts what the parent held when it started the child.
 */
async function watchPeak(child: { readonly pid: number; readonly exitCode: number | null }): Promise<number> {
  let peak = 0;
  while (child.exitCode === null) {
    const status = await readFile(`/proc/${child.pid}/status`, "utf8").catch(() => "");
    peak = Math.max(peak, 1024 * Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0));
    await Bun.sleep(100);
  }
  return peak;
}

describe.skipIf(!real)(`Repair of SmolLM2-135M ${absent && `(skipped: ${absent})`}`, () => {
  test("optimal: the repaired adapter merged is the repaired model, and spends the budget", async () => {
    await using scratch = await scratchFolder();
    const place = (name: string) => join(scratch.path, name);
    const pair = await truncatePair(realModel(), scratch.path, 2);
    await runPrepare(prepareOptions(pair.aligned, place("state"), { data: safeData(), modes: ["optimal"] }));
    const budget = { kind: "loss", share: 0.03 } as const;
    const options = applyOptions(pair, place("state"), place("model"), { budget });
    const facts = await runApply(options);
    using engine = (await openEngine("wasm")).engine;
    const adapted = await applyAdapter(engine, { ...options, out: place("adapter") }, describeFacts, silent);
    for (const { layers } of [facts, adapted]) {
      const linears = layers.flatMap((layer) => layer.linears);
      expect(linears.length).toBe(nLinears.twoLayers);
      for (const { safetyLossShare, deltaNorm, tunedDeltaNorm } of linears) {
        expect(Math.abs(safetyLossShare - budget.share)).toBeLessThan(1e-4);
        expect(deltaNorm).toBeLessThan(tunedDeltaNorm);
      }
    }
    expect(await worstExcess(place("model"), pair.aligned, place("adapter"))).toBeLessThan(1);
  }, 300_000);

  test("apply streams: all layers in less memory than the weights of the pair", async () => {
    await using scratch = await scratchFolder();
    const { aligned, tuned, shared } = realModel();
    const out = join(scratch.path, "out");
    const models = ["--aligned", aligned, "--tuned", tuned, "--out", out];
    const data = ["--safe-data", shared("safe.jsonl"), "--samples", "4", "--system-prompts", "none"];
    const command = ["apply", ...models, ...data, "--mode", "reference", "--scale", "0.1", "--json", "--no-progress"];
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "../../cli/src/main.ts"), ...command]);
    const [report, peak, code] = await Promise.all([new Response(child.stdout).json(), watchPeak(child), child.exited]);
    console.log(`apply on SmolLM2-135M: peak ${(peak / 2 ** 20).toFixed(0)} MiB`);
    expect(code).toBe(0);
    expect(peak).toBeGreaterThan(0);
    expect(peak).toBeLessThan(pairBytes);
    expect(Math.abs(report.peakMemoryBytes - peak)).toBeLessThan(0.1 * peak);
    expect(report.totals.nLinears).toBe(nLinears.all);
    await withModel(aligned, (from) => withModel(out, (to) => expectRepaired(from, to)));
  }, 300_000);
});

type Weights = Awaited<ReturnType<typeof openCheckpoint>>;

/** Every tensor is there; only linears changed, and all of the first and the last layer did. */
async function expectRepaired(aligned: Weights, repaired: Weights): Promise<void> {
  expect([...repaired.tensors.keys()].sort()).toEqual([...aligned.tensors.keys()].sort());
  for (const name of aligned.tensors.keys()) {
    const isLinear = name.includes("_proj");
    if (isLinear && !/layers\.(0|29)\./.test(name)) continue;
    const [a, b] = [await aligned.read(name), await repaired.read(name)];
    expect({ name, same: Buffer.compare(a.bytes, b.bytes) === 0 }).toEqual({ name, same: !isLinear });
  }
}
