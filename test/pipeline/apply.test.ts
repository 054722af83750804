import { describe, expect, test } from "bun:test";
import { copyFile, mkdir, readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { decodeF32, openCheckpoint, type Tensor } from "@safedelta/checkpoint";
import { openEngine } from "@safedelta/engine";
import { type ApplyOptions, silent, sweep } from "@safedelta/pipeline";
import { folderHashes, scratchFolder, writePico } from "../support/pico.ts";
import {
  applyOptions,
  Interruption,
  interruptAt,
  prepareOptions,
  runApply,
  runPrepare,
  safeData,
  taskData,
  writePair,
} from "./job.ts";

/** A pair with its state, ready to apply. */
async function readyPair(folder: string, dtype: "F32" | "BF16" = "F32") {
  const pair = await writePair(folder, dtype);
  const state = join(folder, "state");
  await runPrepare(prepareOptions(pair.aligned, state));
  return { pair, state };
}

async function tensorsOf(folder: string): Promise<Map<string, Tensor>> {
  const checkpoint = await openCheckpoint(folder);
  const tensors = new Map<string, Tensor>();
  for (const name of checkpoint.tensors.keys()) tensors.set(name, await checkpoint.read(name));
  await checkpoint.close();
  return tensors;
}

const noBytes = new Uint8Array();

const ends: readonly { readonly change: Partial<ApplyOptions>; readonly equals: "aligned" | "tuned" }[] = [
  { change: { mode: "optimal", budget: { kind: "loss", share: 0 } }, equals: "aligned" },
  { change: { mode: "exact", budget: { kind: "loss", share: 0 } }, equals: "aligned" },
  { change: { mode: "reference", budget: { kind: "scale", value: 0 } }, equals: "aligned" },
  { change: { mode: "none", budget: { kind: "scale", value: 0 } }, equals: "aligned" },
  { change: { mode: "paper", budget: { kind: "scale", value: 0 } }, equals: "aligned" },
  { change: { mode: "reference", budget: { kind: "loss", share: 0 } }, equals: "aligned" },
  { change: { mode: "optimal", budget: { kind: "loss", share: 1 } }, equals: "tuned" },
  { change: { mode: "optimal", budget: { kind: "strength", value: 0 } }, equals: "tuned" },
  { change: { mode: "optimal", budget: { kind: "globalLoss", share: 1 } }, equals: "tuned" },
  { change: { mode: "optimal", budget: { kind: "globalLoss", share: 0 } }, equals: "aligned" },
  { change: { mode: "optimal", budget: { kind: "loss", share: 1 }, taskData }, equals: "tuned" },
  { change: { mode: "optimal", budget: { kind: "loss", share: 0 }, taskData }, equals: "aligned" },
  { change: { mode: "exact", budget: { kind: "keep", share: 1 } }, equals: "tuned" },
  { change: { mode: "exact", budget: { kind: "globalLoss", share: 1 } }, equals: "tuned" },
];

describe("apply", () => {
  for (const dtype of ["F32", "BF16"] as const) {
    test(`the ends of every dial are the aligned and the tuned model, bit for bit (${dtype})`, async () => {
      await using scratch = await scratchFolder();
      const { pair, state } = await readyPair(scratch.path, dtype);
      for (const { change, equals } of ends) {
        const out = join(scratch.path, "out");
        await runApply(applyOptions(pair, state, out, change));
        const [found, wanted] = [await tensorsOf(out), await tensorsOf(pair[equals])];
        for (const [name, { bytes }] of wanted) {
          expect({ change, name, same: Buffer.compare(found.get(name)?.bytes ?? new Uint8Array(), bytes) }).toEqual({
            change,
            name,
            same: 0,
          });
        }
        await rm(out, { recursive: true });
      }
    });
  }

  for (const change of [{}, { taskData }, { maxShardBytes: 4000 }] as Partial<ApplyOptions>[]) {
    test(`an interruption at any step, then the same command, gives the same bytes (${Object.keys(change).join() || "plain"})`, async () => {
      await using scratch = await scratchFolder();
      const { pair, state } = await readyPair(scratch.path);
      const out = join(scratch.path, "out");
      await runApply(applyOptions(pair, state, out, change));
      const expected = await folderHashes(out);
      for (let step = 1; ; step++) {
        await rm(out, { recursive: true });
        try {
          await runApply(applyOptions(pair, state, out, change), interruptAt(step));
          break;
        } catch (error) {
          expect(error).toBeInstanceOf(Interruption);
        }
        expect(await Bun.file(join(out, "config.json")).exists()).toBe(false);
        await runApply(applyOptions(pair, state, out, change));
        expect(await folderHashes(out)).toEqual(expected);
      }
      expect(await readdir(dirname(out))).not.toContain(`${basename(out)}.safedelta-work`);
    });
  }

  test("task data leave out the tokens that the state leaves out, and are damped as it is: where they are the safe data, each linear is scaled", async () => {
    await using scratch = await scratchFolder();
    const pair = await writePair(scratch.path);
    const [state, out] = [join(scratch.path, "state"), join(scratch.path, "out")];
    const data = { ...safeData, skipTokens: 2 };
    await runPrepare(prepareOptions(pair.aligned, state, { data, damping: 0.1 }));
    const task = { taskData: safeData, taskThrough: "aligned" } as const;
    const facts = await runApply(applyOptions(pair, state, out, { ...task, budget: { kind: "loss", share: 0.25 } }));
    expect(facts).toMatchObject({ taskData: { nSkipped: 2 }, statePlan: { damping: 0.1 } });
    const [aligned, tuned, repaired] = [
      await openCheckpoint(pair.aligned),
      await openCheckpoint(pair.tuned),
      await openCheckpoint(out),
    ];
    // H_u = H, so D = Δ/(1 + λ): half of Δ has a quarter of its loss.
    for (const { name } of facts.layers.flatMap(({ linears }) => linears)) {
      const [a, t, r] = await Promise.all(
        [aligned, tuned, repaired].map(async (one) => decodeF32(await one.read(name))),
      );
      const largest = Math.max(...t.map((value, i) => Math.abs(value - a[i])));
      const off = Math.max(...r.map((value, i) => Math.abs(value - a[i] - (t[i] - a[i]) / 2)));
      expect(off / largest).toBeLessThan(1e-3);
    }
    for (const one of [aligned, tuned, repaired]) await one.close();
  });

  test("task data go through the model that is named: both see the same where nothing tuned comes before", async () => {
    await using scratch = await scratchFolder();
    const { pair, state } = await readyPair(scratch.path);
    const out = (through: string) => join(scratch.path, `through-${through}`);
    for (const taskThrough of ["tuned", "aligned"] as const)
      await runApply(applyOptions(pair, state, out(taskThrough), { taskData, taskThrough }));
    const [tuned, aligned] = [await tensorsOf(out("tuned")), await tensorsOf(out("aligned"))];
    const isSame = (name: string) =>
      Buffer.compare(tuned.get(name)?.bytes ?? noBytes, aligned.get(name)?.bytes ?? noBytes) === 0;
    const linears = [...tuned.keys()].filter((name) => name.includes("_proj"));
    const first = ["q", "k", "v"].map((of) => `model.layers.0.self_attn.${of}_proj.weight`);
    expect(linears.filter(isSame).sort()).toEqual(first.sort());
    // A third model is run as one of the pair is: with the tuned one in its place, the same bytes.
    const facts = await runApply(applyOptions(pair, state, out("third"), { taskData, third: pair.tuned }));
    expect(facts.third).toMatchObject({ spec: pair.tuned, hash: facts.tuned.hash });
    expect(await tensorsOf(out("third"))).toEqual(tuned);
  });

  test("a third model that task data cannot go through is refused by name", async () => {
    await using scratch = await scratchFolder();
    const { pair, state } = await readyPair(scratch.path);
    const third = join(scratch.path, "wider");
    await mkdir(third);
    for (const name of await readdir(pair.tuned)) await copyFile(join(pair.tuned, name), join(third, name));
    const config = await Bun.file(join(third, "config.json")).json();
    await Bun.write(join(third, "config.json"), JSON.stringify({ ...config, rope_theta: 12345 }));
    const run = runApply(applyOptions(pair, state, join(scratch.path, "out"), { taskData, third }));
    await expect(run).rejects.toThrow(/Task data cannot go through .*wider.*rope/is);
  });

  test("without a state it prepares on the way and gives the same weights", async () => {
    await using scratch = await scratchFolder();
    const { pair, state } = await readyPair(scratch.path);
    const [first, second] = [join(scratch.path, "first"), join(scratch.path, "second")];
    await runApply(applyOptions(pair, state, first));
    await runApply(applyOptions(pair, state, second, { source: { safeData } }));
    expect((await folderHashes(second))["model.safetensors"]).toBe((await folderHashes(first))["model.safetensors"]);
  });

  test("a state of another model is refused and nothing is left at --out", async () => {
    await using scratch = await scratchFolder();
    const { pair, state } = await readyPair(scratch.path);
    const out = join(scratch.path, "out");
    const other = { aligned: pair.tuned, tuned: pair.aligned };
    await expect(runApply(applyOptions(other, state, out))).rejects.toThrow(/prepared from another model/);
    expect(await Bun.file(join(out, "config.json")).exists()).toBe(false);
  });

  test("models that do not belong together are refused with every difference at once", async () => {
    await using scratch = await scratchFolder();
    const { pair, state } = await readyPair(scratch.path);
    const wider = await writePico(join(scratch.path, "wider"), { seed: 1, config: { intermediate_size: 48 } });
    const run = runApply(applyOptions({ ...pair, tuned: wider }, state, join(scratch.path, "out")));
    await expect(run).rejects.toThrow(/intermediateSize is 40[\s\S]*mlp\.gate_proj[\s\S]*mlp\.down_proj/);
    const lacking = await writePico(join(scratch.path, "lacking"), {
      seed: 1,
      change: (tensors) => tensors.delete("model.layers.0.self_attn.o_proj.weight"),
    });
    const second = runApply(applyOptions({ ...pair, tuned: lacking }, state, join(scratch.path, "out")));
    await expect(second).rejects.toThrow(/layers\.0\.self_attn\.o_proj\.weight/);
  });

  test("another vocabulary is refused", async () => {
    await using scratch = await scratchFolder();
    const { pair, state } = await readyPair(scratch.path);
    const file = join(pair.tuned, "tokenizer.json");
    await Bun.write(file, (await Bun.file(file).text()).replace('"zoe"', '"zoo"'));
    await expect(runApply(applyOptions(pair, state, join(scratch.path, "out")))).rejects.toThrow(/vocabularies differ/);
  });

  test("NaN in a tuned weight is refused with tensor and place, and nothing looks finished", async () => {
    await using scratch = await scratchFolder();
    const { pair, state } = await readyPair(scratch.path);
    const bad = await writePico(join(scratch.path, "bad"), {
      seed: 1,
      change: (tensors) => {
        const bytes = tensors.get("model.layers.1.mlp.down_proj.weight")?.bytes;
        if (bytes) new DataView(bytes.buffer, bytes.byteOffset).setFloat32(0, Number.POSITIVE_INFINITY, true);
      },
    });
    const out = join(scratch.path, "out");
    await expect(runApply(applyOptions({ ...pair, tuned: bad }, state, out))).rejects.toThrow(
      /layers\.1\.mlp\.down_proj/,
    );
    expect(await Bun.file(join(out, "config.json")).exists()).toBe(false);
  });

  test("an input that changed since the interruption is refused", async () => {
    await using scratch = await scratchFolder();
    const { pair, state } = await readyPair(scratch.path);
    const options = applyOptions(pair, state, join(scratch.path, "out"));
    await expect(runApply(options, interruptAt(6))).rejects.toThrow(Interruption);
    await writePico(pair.tuned, { seed: 1, delta: { seed: 3, size: 0.02 } });
    await expect(runApply(options)).rejects.toThrow(/changed in/);
  });

  test("--rest tuned takes the tuned model's embeddings and norms, --rest aligned the aligned one's", async () => {
    await using scratch = await scratchFolder();
    const { pair, state } = await readyPair(scratch.path);
    const name = "model.norm.weight";
    await writePico(pair.tuned, {
      seed: 1,
      delta: { seed: 2, size: 0.02 },
      change: (tensors) => {
        const bytes = tensors.get(name)?.bytes;
        if (bytes) new DataView(bytes.buffer, bytes.byteOffset).setFloat32(0, 0.5, true);
      },
    });
    for (const [rest, first] of [
      ["aligned", 1],
      ["tuned", 0.5],
    ] as const) {
      const out = join(scratch.path, `rest-${rest}`);
      await runApply(applyOptions(pair, state, out, { rest }));
      const norm = (await tensorsOf(out)).get(name);
      expect(norm && decodeF32(norm)[0]).toBe(first);
    }
  });

  test("the dtype and the companion files are the aligned model's", async () => {
    await using scratch = await scratchFolder();
    const { pair, state } = await readyPair(scratch.path, "BF16");
    const out = join(scratch.path, "out");
    await runApply(applyOptions(pair, state, out));
    expect(new Set([...(await tensorsOf(out)).values()].map(({ dtype }) => dtype))).toEqual(new Set(["BF16"]));
    for (const file of ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"]) {
      expect(await Bun.file(join(out, file)).text()).toBe(await Bun.file(join(pair.aligned, file)).text());
    }
  });

  test("sweep foretells the numbers of apply in every mode", async () => {
    await using scratch = await scratchFolder();
    const { pair, state } = await readyPair(scratch.path);
    using engine = (await openEngine("wasm")).engine;
    const budgets = [
      { kind: "loss", share: 0.1 },
      { kind: "globalLoss", share: 0.1 },
      { kind: "scale", value: 0.5 },
    ] as const;
    const points = await sweep(engine, { ...pair, state, modes: [], budgets, offline: true }, silent);
    expect(points.map(({ mode, budget }) => `${mode} ${budget.kind}`).sort()).toEqual(
      [
        "exact globalLoss",
        "exact loss",
        "none loss",
        "none scale",
        "optimal globalLoss",
        "optimal loss",
        "paper loss",
        "paper scale",
      ]
        .concat(["reference loss", "reference scale"])
        .sort(),
    );
    for (const [i, { mode, budget, linears }] of points.entries()) {
      const facts = await runApply(applyOptions(pair, state, join(scratch.path, `out-${i}`), { mode, budget }));
      for (const linear of facts.layers.flatMap((layer) => layer.linears)) {
        const swept = linears.find(({ name }) => name === linear.name);
        if (!swept) throw new Error(`the sweep lacks ${linear.name}`);
        for (const key of ["safetyLoss", "fullSafetyLoss", "utilityGap", "deltaNorm", "keptShare"] as const) {
          expect(Math.abs(swept[key] - linear[key])).toBeLessThanOrEqual(
            2e-4 * Math.abs(linear[key]) + 1e-7 * linear.fullSafetyLoss + 1e-9,
          );
        }
        if (budget.kind === "loss") expect(linear.safetyLossShare).toBeLessThanOrEqual(0.1001);
      }
    }
  });

  test("a state is refused when only embeddings or norms of its model differ", async () => {
    await using scratch = await scratchFolder();
    const { pair, state } = await readyPair(scratch.path);
    await writePico(pair.aligned, { seed: 1, change: (tensors) => scaleFirst(tensors, "model.norm.weight") });
    const out = join(scratch.path, "out");
    await expect(runApply(applyOptions(pair, state, out))).rejects.toThrow(/prepared from another model/);
  });

  test("stored rotary frequencies, which transformers ignores, may be in the aligned model only", async () => {
    await using scratch = await scratchFolder();
    const name = "model.layers.0.self_attn.rotary_emb.inv_freq";
    const bytes = new Uint8Array(new Float32Array([1, 0.5, 0.25, 0.125]).buffer);
    const pair = await writePair(scratch.path);
    await writePico(pair.aligned, { seed: 1, change: (t) => t.set(name, { name, dtype: "F32", shape: [4], bytes }) });
    const state = join(scratch.path, "state");
    await runPrepare(prepareOptions(pair.aligned, state));
    const out = join(scratch.path, "out");
    await runApply(applyOptions(pair, state, out));
    expect((await tensorsOf(out)).get(name)?.bytes).toEqual(bytes);
  });

  test("a tuned norm that F16, the aligned model's type, would turn into infinity is refused", async () => {
    await using scratch = await scratchFolder();
    const aligned = await writePico(join(scratch.path, "aligned"), { seed: 1, dtype: "F16" });
    const change = (tensors: Map<string, Tensor>) => scaleFirst(tensors, "model.norm.weight", 1e6);
    const tuned = await writePico(join(scratch.path, "tuned"), { seed: 1, change });
    const state = join(scratch.path, "state");
    await runPrepare(prepareOptions(aligned, state));
    const apply = runApply(applyOptions({ aligned, tuned }, state, join(scratch.path, "out"), { rest: "tuned" }));
    await expect(apply).rejects.toThrow(/model\.norm\.weight: 1000000 at element 0 is too large for F16/);
  });

  test("with task data, embeddings or norms of the tuned model that changed since the interruption make it another run", async () => {
    await using scratch = await scratchFolder();
    const pair = await writePair(scratch.path);
    const [state, out] = [join(scratch.path, "state"), join(scratch.path, "out")];
    await runPrepare(prepareOptions(pair.aligned, state));
    const options = applyOptions(pair, state, out, { taskData });
    await expect(runApply(options, interruptAt(8))).rejects.toThrow(Interruption);
    const change = (tensors: Map<string, Tensor>) => scaleFirst(tensors, "model.norm.weight", 3);
    await writePico(join(scratch.path, "tuned"), { seed: 1, delta: { seed: 2, size: 0.02 }, change });
    await expect(runApply(options)).rejects.toThrow(/unfinished work of another run/);
  });

  test("a fine-tuning that changed nothing is said", async () => {
    await using scratch = await scratchFolder();
    const { aligned } = await writePair(scratch.path);
    const state = join(scratch.path, "state");
    await runPrepare(prepareOptions(aligned, state));
    const warnings: string[] = [];
    const progress = { ...silent, warn: (text: string) => void warnings.push(text) };
    const copy = await writePico(join(scratch.path, "copy"), { seed: 1 });
    await runApply(applyOptions({ aligned, tuned: copy }, state, join(scratch.path, "out")), progress);
    expect(warnings).toEqual([expect.stringContaining("there was nothing to repair")]);
  });

  test("rounding to 16 bits beyond the budget is said, with the linear that spends most", async () => {
    await using scratch = await scratchFolder();
    const aligned = await writePico(join(scratch.path, "aligned"), { seed: 1, dtype: "BF16" });
    const tuned = await writePico(join(scratch.path, "tuned"), {
      seed: 1,
      dtype: "BF16",
      delta: { seed: 2, size: 0.002 },
    });
    const state = join(scratch.path, "state");
    await runPrepare(prepareOptions(aligned, state));
    const warnings: string[] = [];
    const progress = { ...silent, warn: (text: string) => void warnings.push(text) };
    const budget = { kind: "loss", share: 0.001 } as const;
    await runApply(applyOptions({ aligned, tuned }, state, join(scratch.path, "out"), { budget }), progress);
    expect(warnings.join()).toMatch(/rounding to BF16 spends safety loss beyond the budget.*model\.layers/);
  });

  test("a loss that a mode cannot spend, since it keeps so many entries at most, is said", async () => {
    await using scratch = await scratchFolder();
    const { pair, state } = await readyPair(scratch.path);
    const warningsAt = async (share: number) => {
      const warnings: string[] = [];
      const progress = { ...silent, warn: (text: string) => void warnings.push(text) };
      const options = { mode: "reference", budget: { kind: "loss", share } } as const;
      await runApply(applyOptions(pair, state, join(scratch.path, `out-${share}`), options), progress);
      return warnings.join();
    };
    expect(await warningsAt(0.9)).toMatch(
      /mode reference keeps no more than 85 % .* less than --loss 0.9 in \d+ of 14/,
    );
    expect(await warningsAt(0.1)).toBe("");
  });
});

function scaleFirst(tensors: Map<string, Tensor>, name: string, value = 0.5): void {
  const bytes = tensors.get(name)?.bytes;
  if (bytes) new DataView(bytes.buffer, bytes.byteOffset).setFloat32(0, value, true);
}
