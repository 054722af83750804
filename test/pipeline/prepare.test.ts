import { describe, expect, test } from "bun:test";
import { cp, readdir } from "node:fs/promises";
import { join } from "node:path";
import { accumulate, finishHessian } from "@safedelta/core";
import { openEngine } from "@safedelta/engine";
import { embed, forwardLayer, groupsOfLayer, loadLayer, openWorkspace, packSegments } from "@safedelta/model";
import {
  type DataOptions,
  openModelFiles,
  openModelTokenizer,
  openState,
  PipelineError,
  prepare,
  readSequences,
  silent,
} from "@safedelta/pipeline";
import { folderHashes, scratchFolder, writePico } from "../support/pico.ts";
import { Interruption, interruptAt, prepareOptions, runPrepare, safeData, writePair } from "./job.ts";

describe("prepare", () => {
  /** Prepares with some counting of the tokens, and expects the spectrum of the Hessian that one pass of each example by itself gives with these weights. */
  async function expectSpectra(
    change: Partial<DataOptions>,
    damping: number | undefined,
    weightOf: (t: number, arrow: number) => number,
  ) {
    await using scratch = await scratchFolder();
    const { aligned } = await writePair(scratch.path);
    const data = { ...safeData, ...change };
    const state = await runPrepare(prepareOptions(aligned, join(scratch.path, "state"), { data, damping }));
    using engine = (await openEngine("wasm")).engine;
    await using model = await openModelFiles(aligned, true, silent);
    const { checkpoint, config } = model;
    const { ids } = await readSequences(safeData, model, true, silent);
    const [arrowId] = (await openModelTokenizer(model)).encode(">", { addSpecialTokens: false });
    using workspace = openWorkspace(engine, config, 64);
    const groups = groupsOfLayer(config, 1);
    const hessians = new Map(groups.map((group) => [group.name, engine.alloc(group.cols, group.cols)]));
    for (const sequence of ids) {
      using x = await embed(engine, checkpoint, config, sequence);
      for (const layer of [0, 1]) {
        using weights = await loadLayer(engine, checkpoint, config, layer);
        forwardLayer(workspace.batch(packSegments([sequence.length])), weights, x, {
          tap: (name, activations) => {
            const hessian = hessians.get(name);
            if (layer !== 1 || hessian === undefined) return;
            sequence.forEach((_, t) => {
              const weight = weightOf(t, sequence.indexOf(arrowId));
              accumulate(engine, hessian, activations.view(t, 0, 1, activations.cols), ids.length, weight);
            });
          },
        });
      }
    }
    for (const [name, hessian] of hessians) {
      const { meanDiagonal } = finishHessian(engine, hessian, damping);
      using group = await state.load(engine, 1, name, "optimal");
      const spectrum = group.spectrum;
      if (!spectrum) throw new Error("the state holds no spectrum");
      using scaled = engine.alloc(group.cols, group.cols);
      engine.convert(spectrum.vectors, scaled);
      engine.scaleCols(scaled, Float32Array.from(spectrum.values));
      engine.gemm(-1, scaled, false, spectrum.vectors, true, 1, hessian);
      const worst = Math.max(...(engine.read(hessian) as Float32Array).map(Math.abs));
      expect(worst / meanDiagonal).toBeLessThan(1e-4);
    }
  }

  test("holds the spectrum of the Hessian that one pass of each example by itself gives", () =>
    expectSpectra({}, undefined, () => 1));

  test("leaves out the first tokens, and damps by the share that is wanted", () =>
    expectSpectra({ skipTokens: 2 }, 0.1, (t) => (t < 2 ? 0 : 1)));

  test("counts the last token before an answer, where the template writes an arrow, and the next four as often as is wanted", () =>
    expectSpectra({ keyWeight: 5 }, undefined, (t, arrow) => (t >= arrow && t < arrow + 5 ? 5 : 1)));

  test("an interruption at any step, then the same command, gives the same bytes", async () => {
    await using scratch = await scratchFolder();
    const { aligned } = await writePair(scratch.path);
    const whole = join(scratch.path, "whole");
    await runPrepare(prepareOptions(aligned, whole));
    const expected = await folderHashes(whole);
    for (let step = 1; ; step++) {
      const out = join(scratch.path, `cut-${step}`);
      try {
        await runPrepare(prepareOptions(aligned, out), interruptAt(step));
        expect(step).toBeGreaterThan(2);
        break;
      } catch (error) {
        expect(error).toBeInstanceOf(Interruption);
      }
      await expect(openState(out)).rejects.toThrow(/not finished/);
      await runPrepare(prepareOptions(aligned, out));
      expect(await folderHashes(out)).toEqual(expected);
    }
  });

  test("memory in the engine does not grow with the number of examples", async () => {
    await using scratch = await scratchFolder();
    const { aligned } = await writePair(scratch.path);
    const peakOf = async (samples: number) => {
      using engine = (await openEngine("wasm")).engine;
      const out = join(scratch.path, `state-${samples}`);
      await prepare(engine, prepareOptions(aligned, out, { data: { ...safeData, samples } }), silent);
      expect(engine.bytesInUse).toBe(0);
      return engine.peakBytes;
    };
    expect(await peakOf(128)).toBe(await peakOf(64));
  });

  test("a finished state is returned as it is; another job needs --overwrite; a foreign folder is never replaced", async () => {
    await using scratch = await scratchFolder();
    const { aligned } = await writePair(scratch.path);
    const out = join(scratch.path, "state");
    const first = await runPrepare(prepareOptions(aligned, out));
    const stages: string[] = [];
    const again = await runPrepare(prepareOptions(aligned, out), { ...silent, stage: (name) => stages.push(name) });
    expect(again.sha256).toBe(first.sha256);
    expect(stages).not.toContain("preparing");
    const other = { data: { ...safeData, seed: 2 } };
    await expect(runPrepare(prepareOptions(aligned, out, other))).rejects.toThrow(/--overwrite/);
    const replaced = await runPrepare(prepareOptions(aligned, out, { ...other, overwrite: true }));
    expect(replaced.sha256).not.toBe(first.sha256);
    await expect(runPrepare(prepareOptions(aligned, aligned, { overwrite: true }))).rejects.toThrow(/never replaced/);
  });

  test("too little memory is refused before anything is written, with what is needed", async () => {
    await using scratch = await scratchFolder();
    const { aligned } = await writePair(scratch.path);
    const out = join(scratch.path, "state");
    await expect(runPrepare(prepareOptions(aligned, out, { maxMemoryBytes: 2 ** 20 }))).rejects.toThrow(
      /needs about [\d.]+ MiB/,
    );
    expect(await readdir(scratch.path)).not.toContain("state");
  });

  test.each(["model.layers.1.mlp.up_proj.weight", "model.embed_tokens.weight"])(
    "NaN in %s is refused before the work, naming the tensor",
    async (name) => {
      await using scratch = await scratchFolder();
      const bad = await writePico(join(scratch.path, "bad"), {
        seed: 1,
        change: (tensors) => {
          const bytes = tensors.get(name)?.bytes;
          if (bytes) new DataView(bytes.buffer, bytes.byteOffset).setFloat32(4, Number.NaN, true);
        },
      });
      const run = runPrepare(prepareOptions(bad, join(scratch.path, "state")));
      await expect(run).rejects.toThrow(`tensor ${name} (F32`);
      expect(await readdir(scratch.path)).toEqual(["bad"]);
    },
  );

  test("a state file that was changed is refused when it is read", async () => {
    await using scratch = await scratchFolder();
    const { aligned } = await writePair(scratch.path);
    const out = join(scratch.path, "state");
    const state = await runPrepare(prepareOptions(aligned, out));
    await cp(join(out, "layers/000/o.safetensors"), join(out, "layers/001/o.safetensors"));
    using engine = (await openEngine("wasm")).engine;
    await expect(state.load(engine, 1, "o", "optimal")).rejects.toThrow(/was changed/);
    expect(engine.bytesInUse).toBe(0);
  });

  test("a part that was not prepared is named with the way to get it", async () => {
    await using scratch = await scratchFolder();
    const { aligned } = await writePair(scratch.path);
    const state = await runPrepare(prepareOptions(aligned, join(scratch.path, "state"), { modes: ["optimal"] }));
    using engine = (await openEngine("wasm")).engine;
    await expect(state.load(engine, 0, "qkv", "reference")).rejects.toThrow(PipelineError);
    await expect(state.load(engine, 0, "qkv", "reference")).rejects.toThrow(/--modes reference/);
  });

  test("another chat template is another job, even when it gives as many tokens", async () => {
    await using scratch = await scratchFolder();
    const { aligned } = await writePair(scratch.path);
    const out = join(scratch.path, "state");
    await runPrepare(prepareOptions(aligned, out));
    const file = join(aligned, "tokenizer_config.json");
    await Bun.write(file, (await Bun.file(file).text()).replace(" + ' >'", " + ' .'"));
    await expect(runPrepare(prepareOptions(aligned, out))).rejects.toThrow(/--overwrite/);
  });
});
