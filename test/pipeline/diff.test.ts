import { expect, test } from "bun:test";
import { join } from "node:path";
import { diffModels, silent } from "@safedelta/pipeline";
import { scratchFolder, writePico } from "../support/pico.ts";

/** Compare two pico models whose last norm (24 ones) begins with the given values. */
async function diffNorms(first: readonly number[], second: readonly number[]) {
  await using scratch = await scratchFolder();
  const write = (name: string, values: readonly number[]) =>
    writePico(join(scratch.path, name), {
      seed: 1,
      change: (tensors) => {
        const norm = tensors.get("model.norm.weight");
        if (norm) new Float32Array(norm.bytes.buffer, norm.bytes.byteOffset, values.length).set(values);
      },
    });
  const diffs = await diffModels(await write("a", first), await write("b", second), true, silent);
  return diffs.find(({ name }) => name === "model.norm.weight");
}

test("NaN in one model is a change that is told", async () => {
  const found = await diffNorms([1], [Number.NaN]);
  expect(found).toMatchObject({ status: "changed", nNonFinite: 1, changedShare: 1 / 24, maxAbs: Number.NaN });
});

test("the same NaN and infinity in both are no change, and are told", async () => {
  const values = [Number.NaN, Number.POSITIVE_INFINITY];
  expect(await diffNorms(values, values)).toMatchObject({ status: "same", nNonFinite: 2, changedShare: 0 });
});

test("against zeros a change has no relative size", async () => {
  const zeros = new Array(24).fill(0);
  expect(await diffNorms(zeros, zeros)).toMatchObject({ status: "same", relative: 0, norm: 0 });
  const found = await diffNorms(zeros, [3, 4, ...zeros.slice(2)]);
  expect(found).toMatchObject({ status: "changed", relative: Number.POSITIVE_INFINITY, norm: 5 });
  expect(found).not.toHaveProperty("nNonFinite");
});
