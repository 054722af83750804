import { describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { encode, type Tensor, writeSafetensors } from "@safedelta/checkpoint";
import { openEngine } from "@safedelta/engine";
import { openModelFiles, openModelTokenizer, repairLayerFile, silent, sweep } from "@safedelta/pipeline";
import { scratchFolder, writePico } from "../support/pico.ts";
import { Random } from "../support/random.ts";
import {
  applyOptions,
  Interruption,
  interruptAt,
  prepareOptions,
  runApply,
  runPlan,
  runPrepare,
  writePair,
} from "./job.ts";

describe("pairs that cannot be repaired as asked", () => {
  test("--rest tuned with a tied aligned and an untied tuned model", async () => {
    await using scratch = await scratchFolder();
    const aligned = await writePico(join(scratch.path, "aligned"), { seed: 1 });
    const delta = { seed: 2, size: 0.02 };
    const config = { tie_word_embeddings: false };
    const tuned = await writePico(join(scratch.path, "tuned"), { seed: 1, delta, config });
    const state = join(scratch.path, "state");
    await runPrepare(prepareOptions(aligned, state));
    const run = (rest: "aligned" | "tuned") =>
      runApply(applyOptions({ aligned, tuned }, state, join(scratch.path, `out-${rest}`), { rest }));
    await expect(run("tuned")).rejects.toThrow(/--rest tuned: the output head is .* Leave --rest away/);
    await run("aligned");
  });

  test("linears in a type that a repair is not written in, before any work", async () => {
    await using scratch = await scratchFolder();
    const widen = (tensors: Map<string, Tensor>) => {
      for (const [name, tensor] of tensors) {
        if (!name.includes("_proj")) continue;
        const values = new Float32Array(tensor.bytes.slice().buffer);
        tensors.set(name, { ...tensor, dtype: "F64", bytes: encode(values, "F64") });
      }
    };
    const aligned = await writePico(join(scratch.path, "aligned"), { seed: 1, change: widen });
    const prepared = runPrepare(prepareOptions(aligned, join(scratch.path, "state")));
    await expect(prepared).rejects.toThrow(/q_proj\.weight is stored as F64; a repair is written as F32, F16, BF16/);
  });
});

test("models without tokenizer.json: that their tokens were not compared is told", async () => {
  await using scratch = await scratchFolder();
  const pair = await writePair(scratch.path);
  const state = join(scratch.path, "state");
  await runPrepare(prepareOptions(pair.aligned, state, { modes: ["optimal"] }));
  const warnings: string[] = [];
  const progress = { ...silent, warn: (text: string) => warnings.push(text) };
  const options = applyOptions(pair, state, join(scratch.path, "out"));
  await runPlan(options, progress);
  expect(warnings).toEqual([]);
  await rm(join(pair.tuned, "tokenizer.json"));
  await runPlan(options, progress);
  expect(warnings).toEqual([
    expect.stringMatching(/no tokenizer\.json: that both read the same tokens was not checked/),
  ]);
});

test("a pooled budget that another tuned model shifts does not mix into an interrupted run", async () => {
  await using scratch = await scratchFolder();
  const { aligned, tuned } = await writePair(scratch.path);
  const state = join(scratch.path, "state");
  await runPrepare(prepareOptions(aligned, state));
  const change = { budget: { kind: "globalLoss", share: 0.1 } } as const;
  const options = applyOptions({ aligned, tuned }, state, join(scratch.path, "out"), change);
  // 14 steps measure the pool; the next few repair the first groups.
  await expect(runApply(options, interruptAt(17))).rejects.toThrow(Interruption);
  const enlarge = (tensors: Map<string, Tensor>) => {
    const last = tensors.get("model.layers.1.mlp.down_proj.weight");
    if (last) new Float32Array(last.bytes.buffer, last.bytes.byteOffset, last.bytes.length / 4)[0] += 1;
  };
  await writePico(tuned, { seed: 1, delta: { seed: 2, size: 0.02 }, change: enlarge });
  await expect(runApply(options)).rejects.toThrow(/another|unfinished/);
  const whole = await runApply({ ...options, overwrite: true });
  const fresh = await runApply({ ...options, out: join(scratch.path, "fresh") });
  expect(whole.tensors).toEqual(fresh.tensors);
});

test("special tokens that only special_tokens_map.json names are read", async () => {
  await using scratch = await scratchFolder();
  const folder = await writePico(join(scratch.path, "model"), { seed: 1 });
  const path = join(folder, "tokenizer_config.json");
  const { bos_token, eos_token, ...rest } = await Bun.file(path).json();
  const fingerprint = async () => {
    await using model = await openModelFiles(folder, true, silent);
    return (await openModelTokenizer(model)).renderChat([{ role: "user", content: "x" }], {
      addGenerationPrompt: true,
    });
  };
  const before = await fingerprint();
  await Bun.write(path, JSON.stringify(rest));
  await Bun.write(join(folder, "special_tokens_map.json"), JSON.stringify({ bos_token, eos_token }));
  expect(await fingerprint()).toEqual(before);
});

describe("layer", () => {
  const n = 6;
  const tensor = (name: string, rows: number, values: ArrayLike<number>): Tensor => {
    return { name, dtype: "F32", shape: [rows, n], bytes: encode(Float32Array.from(values), "F32") };
  };
  const random = new Random(1);
  const weights = [tensor("aligned", 3, random.normals(18)), tensor("tuned", 3, random.normals(18))];
  const x = [0, 1, 2].map((i) => tensor(`x${i}`, 8, random.normals(48)));
  const hessian = (entry: (i: number, j: number) => number) =>
    tensor(
      "hessian",
      n,
      Array.from({ length: n * n }, (_, at) => entry(Math.floor(at / n), at % n)),
    );
  const whole = hessian((i, j) => (i === j ? 2 : 0.5));

  const run = async (tensors: readonly Tensor[]) => {
    await using scratch = await scratchFolder();
    const [input, out] = [join(scratch.path, "in.safetensors"), join(scratch.path, "out.safetensors")];
    await writeSafetensors(input, [...weights, ...tensors]);
    using engine = (await openEngine("wasm")).engine;
    const facts = await repairLayerFile(engine, {
      ...{ input, out, mode: "optimal", overwrite: false },
      budget: { kind: "loss", share: 0.1 },
    }).finally(() => expect(engine.bytesInUse).toBe(0));
    return facts;
  };

  test.each([
    ["only the lower triangle", [hessian((i, j) => (i === j ? 2 : i > j ? 0.5 : 0))], /whole symmetric matrix/],
    ["only the upper triangle", [hessian((i, j) => (i === j ? 2 : i < j ? 0.5 : 0))], /whole symmetric matrix/],
    ["a gap in the examples", [x[0], x[2]], /2 examples .* but no x1/],
    ["a Hessian and examples", [whole, ...x], /only one of them/],
    [
      "a Hessian that is not positive definite",
      [hessian((i, j) => (i === j ? 1 : 5))],
      /not positive definite|eigenvalue/,
    ],
  ])("refuses %s", async (_, tensors, words) => {
    await expect(run(tensors)).rejects.toThrow(words);
  });

  test("takes a symmetric Hessian, and examples in any order", async () => {
    expect((await run([whole])).safetyLossShare).toBeCloseTo(0.1, 3);
    expect(await run([x[2], x[0], x[1]])).toEqual(await run(x));
  });
});

describe("what a user should hear of", () => {
  const heard = () => {
    const warnings: string[] = [];
    return { warnings, progress: { ...silent, warn: (text: string) => void warnings.push(text) } };
  };

  test("tensors outside the linears that the fine-tuning changed and the output does not have", async () => {
    await using scratch = await scratchFolder();
    const { aligned, tuned } = await writePair(scratch.path);
    const state = join(scratch.path, "state");
    await runPrepare(prepareOptions(aligned, state));
    const plain = heard();
    await runApply(applyOptions({ aligned, tuned }, state, join(scratch.path, "plain")), plain.progress);
    expect(plain.warnings).toEqual([]);
    const change = (tensors: Map<string, Tensor>) => {
      const norm = tensors.get("model.norm.weight");
      if (norm) new Float32Array(norm.bytes.buffer, norm.bytes.byteOffset, 1)[0] = 3;
    };
    await writePico(tuned, { seed: 1, delta: { seed: 2, size: 0.02 }, change });
    const [left, kept] = [heard(), heard()];
    const out = (name: string) => join(scratch.path, name);
    await runApply(applyOptions({ aligned, tuned }, state, out("left")), left.progress);
    await runApply(applyOptions({ aligned, tuned }, state, out("kept"), { rest: "tuned" }), kept.progress);
    expect(left.warnings).toEqual([
      expect.stringMatching(/changed 1 of 6 tensors outside .*model\.norm.*--rest tuned/),
    ]);
    expect(kept.warnings).toEqual([]);
  });

  test("a sweep of equal models", async () => {
    await using scratch = await scratchFolder();
    const { aligned } = await writePair(scratch.path);
    const state = join(scratch.path, "state");
    await runPrepare(prepareOptions(aligned, state));
    const { warnings, progress } = heard();
    using engine = (await openEngine("wasm")).engine;
    const models = { aligned, tuned: aligned, state, offline: true };
    await sweep(engine, { ...models, modes: [], budgets: [{ kind: "loss", share: 0.1 }] }, progress);
    expect(warnings).toEqual([expect.stringContaining("nothing to repair")]);
  });
});
