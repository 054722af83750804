import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import {
  decodeF32,
  encode,
  openSafetensors,
  type Tensor,
  type TensorDType,
  writeSafetensors,
} from "@safedelta/checkpoint";
import { type GoldenCase, goldenAbsent, goldenCases, readGolden, unpackMask } from "../core/golden.ts";
import { scratchFolder } from "../support/pico.ts";
import { Random } from "../support/random.ts";
import { jsonOf, safedelta } from "./run.ts";

setDefaultTimeout(300_000); // children wait for their turn

let scratch: Awaited<ReturnType<typeof scratchFolder>>;
beforeAll(async () => {
  scratch = await scratchFolder();
});
afterAll(() => scratch[Symbol.asyncDispose]());

const layer = (...args: readonly string[]) => jsonOf(scratch.path, ["layer", ...args]);

function tensor(name: string, shape: number[], values: ArrayLike<number>, dtype: TensorDType = "F32"): Tensor {
  return { name, dtype, shape, bytes: encode(Float32Array.from(values), dtype) };
}

async function readOut(file: string): Promise<{ weight: Tensor; kept: Tensor }> {
  const source = await openSafetensors(join(scratch.path, file));
  const [weight, kept] = [await source.read("weight"), await source.read("kept")];
  expect([...source.tensors.keys()]).toEqual(["weight", "kept"]);
  await source.close();
  return { weight, kept };
}

if (goldenAbsent) test.skip(`golden vectors: ${goldenAbsent}`, () => {});

const storage = { float32: "F32", float16: "F16", bfloat16: "BF16" } as const;

/** Write the inputs of a golden case: weights, and activations one tensor an example or the finished sum. */
async function writeCase(golden: GoldenCase, from: "hessian" | "activations"): Promise<string> {
  const tensors = await readGolden(golden);
  const [rows, cols, dtype] = [golden.rows, golden.cols, storage[golden.dtype]];
  const weights = [
    tensor("aligned", [rows, cols], tensors.plain("w").values, dtype),
    tensor("tuned", [rows, cols], tensors.plain("w_ft").values, dtype),
  ];
  const x = tensors.plain("x").values;
  let row = 0;
  const examples = Array.from(tensors.integers("x_lengths"), (length, i) => {
    const part = x.slice(row * cols, (row + length) * cols);
    row += length;
    return tensor(`x${i}`, [length, cols], part, dtype);
  });
  const statistics = from === "hessian" ? [tensor("hessian", [cols, cols], tensors.plain("ref.h").values)] : examples;
  const file = `${golden.name}-${from}.safetensors`;
  await writeSafetensors(join(scratch.path, file), [...weights, ...statistics]);
  return file;
}

/** Cases whose Hessian is given, one of each storage type, one with dead columns; the other cases are the business of core's tests. */
const fromHessian = ["g2-odd-dead", "g5-bf16", "g6-f16-lowrank", "g7-square"];

describe.each(goldenCases.map((golden) => [golden.name, golden] as const))("golden %s", (_, golden) => {
  const { rows, cols } = golden;

  test.concurrent("reference, from activations: the official mask exactly, its weights within the bound", async () => {
    const input = await writeCase(golden, "activations");
    const out = `${golden.name}-reference.safetensors`;
    const facts = await layer(input, "--out", out, "--mode", "reference", "--scale", `${golden.s}`);
    expect(facts).toMatchObject({ mode: "reference", rows, cols });
    const { weight, kept } = await readOut(out);
    expect(weight).toMatchObject({ dtype: storage[golden.dtype], shape: [rows, cols] });
    expect(kept).toMatchObject({ dtype: "U8", shape: [rows, cols] });
    const tensors = await readGolden(golden);
    const mask = unpackMask(tensors.integers("ref.mask"), rows, cols);
    expect(Buffer.compare(kept.bytes, mask)).toBe(0);
    const [found, expected, tuned] = [
      decodeF32(weight),
      tensors.plain("ref.w_out").values,
      tensors.plain("w_ft").values,
    ];
    const gaps = Array.from(expected, (value, i) => Math.abs(found[i] - value));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(golden.dtype === "float32" ? 1e-5 : 1e-4);
    if (golden.dtype !== "float32") expect(gaps.filter((gap) => gap > 0).length).toBeLessThanOrEqual(gaps.length / 100);
    expect(mask.every((keep, i) => keep === 0 || found[i] === tuned[i])).toBe(true);
    expect(facts.keptShare).toBe(golden.reference.selected / (rows * cols));
  });

  if (!fromHessian.includes(golden.name)) return;
  test.concurrent("exact and optimal, from the Hessian", async () => {
    const input = await writeCase(golden, "hessian");
    const tensors = await readGolden(golden);
    for (const mode of ["exact", "optimal"] as const) {
      const share = String(golden[mode].loss_share);
      const out = `${golden.name}-${mode}.safetensors`;
      const facts = await layer(input, "--out", out, "--mode", mode, "--loss", share, "--dtype", "f32");
      const { weight, kept } = await readOut(out);
      expect(weight.dtype).toBe("F32");
      const [found, expected] = [decodeF32(weight), tensors.plain(`${mode}.w_out`).values];
      expect(Math.max(...Array.from(expected, (value, i) => Math.abs(found[i] - value)))).toBeLessThanOrEqual(1e-5);
      expect(Math.abs(2 * facts.safetyLoss - golden[mode].loss)).toBeLessThanOrEqual(2e-3 * golden[mode].loss);
      expect(facts.safetyLossShare).toBeLessThanOrEqual(golden[mode].loss_share * 1.001);
      const nKept = mode === "exact" ? golden.exact.kept_columns * rows : 0;
      expect(kept.bytes.reduce((sum, bit) => sum + bit, 0)).toBe(nKept);
      if (mode === "exact") continue;
      expect(Math.abs(facts.strength / golden.optimal.strength - 1)).toBeLessThanOrEqual(1e-3);
      expect(Math.abs(facts.utilityGap / golden.optimal.utility_gap - 1)).toBeLessThanOrEqual(1e-3);
    }
  });
});

/** A small linear with its inputs; `change` damages a tensor's values. */
async function writeSmall(name: string, hessianOf: (j: number, k: number) => number, dtype: TensorDType = "F32") {
  const random = new Random(3);
  const square = Array.from({ length: 64 }, (_, at) => hessianOf(Math.floor(at / 8), at % 8));
  await writeSafetensors(join(scratch.path, name), [
    tensor("aligned", [4, 8], random.normals(32), dtype),
    tensor("tuned", [4, 8], random.normals(32), dtype),
    tensor("hessian", [8, 8], square),
  ]);
}

describe("layer", () => {
  test("the numbers that stdout gives", async () => {
    await writeSmall("in.safetensors", (j, k) => (j === k ? 1 + j : 0.1), "BF16");
    const facts = await layer("in.safetensors", "--out", "o.safetensors", "--strength", "1");
    const keys = [
      "mode",
      "rows",
      "cols",
      "keptShare",
      "safetyLoss",
      "safetyLossShare",
      "utilityGap",
      "budget",
      "strength",
    ];
    for (const key of keys) expect(facts).toHaveProperty(key);
    expect(facts).toMatchObject({ mode: "optimal", rows: 4, cols: 8, strength: 1 });
    expect((await readOut("o.safetensors")).weight.dtype).toBe("BF16");
    await layer("in.safetensors", "--out", "o.safetensors", "--dtype", "f16", "--overwrite");
    expect((await readOut("o.safetensors")).weight.dtype).toBe("F16");
  });

  test("at both ends of the dial no number is null; the aligned weights have no strength", async () => {
    await writeSmall("ends.safetensors", (j, k) => (j === k ? 1 + j : 0.1));
    for (const mode of ["optimal", "exact", "reference", "paper", "none"]) {
      for (const share of ["0", "1"]) {
        const args = ["ends.safetensors", "--out", "ends-out.safetensors", "--overwrite", "--mode", mode];
        const facts = await layer(...args, "--loss", share);
        expect({ mode, share, text: JSON.stringify(facts) }).toEqual({
          mode,
          share,
          text: expect.not.stringContaining("null"),
        });
        if (mode === "optimal") expect("strength" in facts).toBe(share === "1");
      }
    }
  });

  const refusals: readonly (readonly [string, () => Promise<unknown>, readonly string[], number, RegExp])[] = [
    [
      "NaN in the Hessian",
      () => writeSmall("bad.safetensors", (j) => (j === 3 ? Number.NaN : 1)),
      [],
      4,
      /hessian.*NaN/,
    ],
    [
      "a Hessian of zeros",
      () => writeSmall("bad.safetensors", () => 0),
      [],
      4,
      /bad\.safetensors: The Hessian is zero/,
    ],
    [
      "an indefinite Hessian, exact",
      () => writeSmall("bad.safetensors", (j, k) => (j === k ? 1 : 5)),
      ["--mode", "exact"],
      4,
      /bad\.safetensors: .*not positive definite/,
    ],
    [
      "an indefinite Hessian, optimal",
      () => writeSmall("bad.safetensors", (j, k) => (j === k ? 1 : 5)),
      [],
      4,
      /bad\.safetensors: .*eigenvalue -/,
    ],
    ["a budget out of range", () => writeSmall("bad.safetensors", () => 1), ["--loss", "1.5"], 2, /must lie in 0 … 1/],
    ["the input as output", () => writeSmall("o2.safetensors", () => 1), ["in", "o2"], 2, /is the input/],
    [
      "too little memory",
      () => writeSmall("bad.safetensors", () => 1),
      ["--max-memory", "1MB"],
      5,
      /needs about [\d.]+ MiB/,
    ],
  ];
  for (const [what, write, flags, exit, message] of refusals) {
    test(`refuses ${what}`, async () => {
      await write();
      const same = flags[0] === "in";
      const args = same
        ? ["o2.safetensors", "--out", "./o2.safetensors"]
        : ["bad.safetensors", "--out", "no.safetensors", ...flags];
      const { code, stdout, stderr } = await safedelta(scratch.path, ["layer", ...args, "-q"]);
      expect({ code, stdout }).toEqual({ code: exit, stdout: "" });
      expect(stderr).toMatch(message);
      expect(stderr.trim().split("\n")).toHaveLength(1);
      expect(await Bun.file(join(scratch.path, "no.safetensors")).exists()).toBe(false);
    });
  }

  test("replaces no file without --overwrite, no folder, and never its input, whatever path leads there", async () => {
    await writeSmall("again.safetensors", (j, k) => (j === k ? 1 : 0));
    const at = (name: string) => join(scratch.path, name);
    await Bun.write(at("mine.safetensors"), "mine");
    await mkdir(at("place.safetensors"));
    await symlink("again.safetensors", at("link.safetensors"));
    const refused: [string[], RegExp][] = [
      [["mine.safetensors"], /mine\.safetensors: is there already\. .*--overwrite/],
      [["place.safetensors", "--overwrite"], /is a folder/],
      [["link.safetensors", "--overwrite"], /is the input/],
    ];
    for (const [out, why] of refused) {
      const ran = await safedelta(scratch.path, ["layer", "again.safetensors", "--out", ...out]);
      expect(ran).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(why) });
    }
    expect(await Bun.file(at("mine.safetensors")).text()).toBe("mine");
    await layer("again.safetensors", "--out", "mine.safetensors", "--overwrite");
    expect((await readOut("mine.safetensors")).weight.shape).toEqual([4, 8]);
  });

  test("names what a file lacks, and shapes that do not fit", async () => {
    const write = (...tensors: Tensor[]) => writeSafetensors(join(scratch.path, "part.safetensors"), tensors);
    const attempt = async () => safedelta(scratch.path, ["layer", "part.safetensors", "--out", "no.safetensors"]);
    const square = (name: string, n: number) => tensor(name, [n, n], new Float32Array(n * n).fill(1));
    await write(square("aligned", 4), square("tuned", 4));
    expect(await attempt()).toMatchObject({ code: 4, stderr: expect.stringContaining('has no tensor "hessian"') });
    await write(square("aligned", 4), square("tuned", 4), square("hessian", 5));
    expect(await attempt()).toMatchObject({ code: 4, stderr: expect.stringContaining("4 x 4 is needed") });
    await write(square("aligned", 4), square("tuned", 5), square("hessian", 4));
    expect(await attempt()).toMatchObject({ code: 4 });
    await write(square("aligned", 4), square("tuned", 4), square("hessian", 4), square("x00", 4));
    expect(await attempt()).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('holds "x00", which is not used'),
    });
    await write(square("aligned", 4), square("hessian", 4));
    expect(await attempt()).toMatchObject({ code: 4, stderr: expect.stringContaining('has no tensor "tuned"') });
  });
});

test("matrices without entries are refused: there is nothing to repair", async () => {
  const [rows, cols] = [0, 3];
  const identity = Array.from({ length: cols * cols }, (_, at) => Number(at % (cols + 1) === 0));
  await writeSafetensors(join(scratch.path, "empty.safetensors"), [
    tensor("aligned", [rows, cols], []),
    tensor("tuned", [rows, cols], []),
    tensor("hessian", [cols, cols], identity),
  ]);
  const words = ["layer", "empty.safetensors", "--out", "nothing.safetensors", "--mode", "optimal", "--loss", "0.1"];
  const { code, stderr } = await safedelta(scratch.path, words);
  expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringContaining("aligned is empty ([0,3])") });
});
