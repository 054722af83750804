import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  decodeF32,
  encode,
  openCheckpoint,
  openSafetensors,
  type Tensor,
  writeSafetensors,
} from "@safedelta/checkpoint";
import {
  expectClose,
  expectRounded,
  fixtures,
  flipped,
  makeAdapter,
  makeBase,
  pairOf,
  plus,
  product,
} from "./adapters.ts";
import { randomTensor, tempFolder } from "./tools.ts";

describe("merges by PEFT itself", () => {
  const variants = ["plain", "rslora", "patterns", "dora", "saved", "biases", "lora-biases", "embedding", "layers"];
  test.each(variants)("%s: every tensor equals merge_and_unload to f32 rounding", async (variant) => {
    const checkpoint = await openCheckpoint(`${fixtures}/base+${fixtures}/${variant}`);
    const expected = await openSafetensors(join(fixtures, variant, "merged.safetensors"));
    const base = await openCheckpoint(join(fixtures, "base"));
    let nChanged = 0;
    for (const name of expected.tensors.keys()) {
      await expectClose(checkpoint, name, Array.from(decodeF32(await expected.read(name))));
      const before = (await base.read(name)).bytes;
      if (!Buffer.from(before).equals((await checkpoint.read(name)).bytes)) nChanged++;
      else expect((await expected.read(name)).bytes).toEqual(before);
    }
    expect(nChanged).toBeGreaterThan(0);
    expect(checkpoint.tensors.size).toBe(expected.tensors.size);
    for (const open of [checkpoint, expected, base]) await open.close();
  });
});

describe("merges against the formula in f64", () => {
  const cases: [string, object, number][] = [
    ["alpha/r", {}, 3 / 2],
    ["a fractional alpha", { lora_alpha: 0.3 }, 0.15],
    ["alpha/√r with use_rslora", { use_rslora: true }, 3 / Math.SQRT2],
    ["rank_pattern by the end of the name", { r: 7, rank_pattern: { m: 2 } }, 3 / 2],
    ["rank_pattern by an expression", { r: 7, rank_pattern: { "[a-m]": 2 } }, 3 / 2],
    ["alpha_pattern", { alpha_pattern: { m: 8 } }, 4],
    ["patterns of other modules", { rank_pattern: { x: 9, mm: 9 }, alpha_pattern: { "m.x": 9 } }, 3 / 2],
    ["an initialisation that keeps the base", { init_lora_weights: "gaussian" }, 3 / 2],
    ["eva, which keeps the base too", { init_lora_weights: "eva" }, 3 / 2],
  ];
  test.each(cases)("%s", async (_, config, scale) => {
    await using folder = await tempFolder();
    const [m, bias] = await makeBase(join(folder.path, "base"));
    await makeAdapter(join(folder.path, "ad"), config);
    const checkpoint = await openCheckpoint(`${folder.path}/base+${folder.path}/ad`);
    await expectRounded(checkpoint, "m.weight", plus(m, product(pairOf("m"), scale)));
    expect(await checkpoint.read("m.bias")).toEqual(bias);
    expect(checkpoint.adapter?.pairs.get("m.weight")).toMatchObject({ rank: 2, scale });
    await checkpoint.close();
  });

  test.each(["BF16", "F16", "F64"] as const)("a %s base gets its own type, rounded once", async (dtype) => {
    await using folder = await tempFolder();
    const [m] = await makeBase(join(folder.path, "base"), dtype);
    await makeAdapter(join(folder.path, "ad"), {}, [], pairOf("m", 2, 6, 8, "BF16"));
    const checkpoint = await openCheckpoint(`${folder.path}/base+${folder.path}/ad`);
    await expectRounded(checkpoint, "m.weight", plus(m, product(pairOf("m", 2, 6, 8, "BF16"), 1.5)));
    await checkpoint.close();
  });

  test("sizes around the unrolled ranks and the column block", async () => {
    for (const [r, rows, cols] of [
      [1, 3, 1],
      [4, 2, 1023],
      [5, 2, 1024],
      [7, 2, 1025],
      [16, 1, 2050],
    ]) {
      await using folder = await tempFolder();
      const m = randomTensor("m.weight", [rows, cols], 9);
      const base = join(folder.path, "base");
      await makeBase(base);
      await writeSafetensors(join(base, "model.safetensors"), [m]);
      const factors = pairOf("m", r, rows, cols, "F32");
      await makeAdapter(join(folder.path, "ad"), { r, lora_alpha: 2 }, [], factors);
      const checkpoint = await openCheckpoint(`${base}+${folder.path}/ad`);
      await expectClose(checkpoint, "m.weight", plus(m, product(factors, 2 / r)));
      await checkpoint.close();
    }
  });

  test("fan_in_fan_out adds the transpose", async () => {
    await using folder = await tempFolder();
    const [m] = await makeBase(join(folder.path, "base"));
    const factors = pairOf("m", 2, 8, 6);
    await makeAdapter(join(folder.path, "ad"), { fan_in_fan_out: true }, [], factors);
    const checkpoint = await openCheckpoint(`${folder.path}/base+${folder.path}/ad`);
    await expectRounded(checkpoint, "m.weight", plus(m, flipped(product(factors, 1.5))));
    await checkpoint.close();
  });

  test.each([false, true])("DoRA scales outputs to their magnitude, fan_in_fan_out %p", async (transposed) => {
    await using folder = await tempFolder();
    const [m] = await makeBase(join(folder.path, "base"));
    const [nOut, nIn] = transposed ? [8, 6] : [6, 8];
    const factors = pairOf("m", 2, nOut, nIn);
    const magnitude = randomTensor("m.lora_magnitude_vector", [nOut], 21);
    await makeAdapter(join(folder.path, "ad"), { use_dora: true, fan_in_fan_out: transposed }, [magnitude], factors);
    const delta = product(factors, 1.5);
    const v = plus(m, transposed ? flipped(delta) : delta);
    const outputOf = (i: number) => (transposed ? i % 8 : Math.floor(i / 8));
    const norms = new Float64Array(nOut);
    for (const [i, x] of v.entries()) norms[outputOf(i)] += x * x;
    const magnitudes = decodeF32(magnitude);
    const checkpoint = await openCheckpoint(`${folder.path}/base+${folder.path}/ad`);
    const expected = v.map((x, i) => (magnitudes[outputOf(i)] * x) / Math.sqrt(norms[outputOf(i)]));
    await expectClose(checkpoint, "m.weight", expected);
    await checkpoint.close();
  });

  test("rows of a merged weight are rows of the whole, in every variant", async () => {
    await using folder = await tempFolder();
    await makeBase(join(folder.path, "base"));
    const variants: [string, object, Tensor[], Tensor[]][] = [
      ["plain", {}, [], pairOf("m")],
      ["transposed", { fan_in_fan_out: true }, [], pairOf("m", 2, 8, 6)],
      ["dora", { use_dora: true }, [randomTensor("m.lora_magnitude_vector", [6], 1)], pairOf("m")],
      [
        "flipped-dora",
        { use_dora: true, fan_in_fan_out: true },
        [randomTensor("m.lora_magnitude_vector", [8], 1)],
        pairOf("m", 2, 8, 6),
      ],
      ["replaced", {}, [randomTensor("layers.0.q.weight", [6, 8], 5)], pairOf("m")],
    ];
    for (const [name, config, further, factors] of variants) {
      await makeAdapter(join(folder.path, name), config, further, factors);
      const checkpoint = await openCheckpoint(`${folder.path}/base+${folder.path}/${name}`);
      for (const weight of ["m.weight", "layers.0.q.weight", "m.bias"]) {
        const whole = await checkpoint.read(weight);
        const rowBytes = whole.bytes.length / 6;
        const rows = await checkpoint.readRows(weight, 2, 3);
        expect(rows.shape).toEqual([3, ...whole.shape.slice(1)]);
        expect(Buffer.from(rows.bytes)).toEqual(Buffer.from(whole.bytes.slice(2 * rowBytes, 5 * rowBytes)));
      }
      await checkpoint.close();
    }
  });

  test("a chain merges one after the other, rounded in between; the outermost adapter is the checkpoint's", async () => {
    await using folder = await tempFolder();
    const [m] = await makeBase(join(folder.path, "base"), "BF16");
    await makeAdapter(join(folder.path, "one"));
    await makeAdapter(join(folder.path, "two"), { lora_alpha: 8 });
    const checkpoint = await openCheckpoint(`${folder.path}/base+${folder.path}/one+${folder.path}/two`);
    const first = encode(Float32Array.from(plus(m, product(pairOf("m"), 1.5))), "BF16");
    await expectRounded(checkpoint, "m.weight", plus({ ...m, bytes: first }, product(pairOf("m"), 4)));
    expect([checkpoint.kind, checkpoint.adapter?.folder]).toEqual(["adapted", join(folder.path, "two")]);
    await checkpoint.close();
  });

  test("a replacement takes the base's type", async () => {
    await using folder = await tempFolder();
    await makeBase(join(folder.path, "base"), "BF16");
    const bias = randomTensor("m.bias", [6], 33);
    await makeAdapter(join(folder.path, "ad"), {}, [bias]);
    const checkpoint = await openCheckpoint(`${folder.path}/base+${folder.path}/ad`);
    await expectRounded(checkpoint, "m.bias", Array.from(decodeF32(bias)));
    expect([...(checkpoint.adapter?.otherTensors.keys() ?? [])]).toEqual(["m.bias"]);
    await checkpoint.close();
  });
});
