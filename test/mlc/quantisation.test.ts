import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { packRows, unpackRows } from "@safedelta/mlc";
import fc from "fast-check";

/** Made with numpy by make_golden.py. */
const golden = await Bun.file(join(import.meta.dir, "golden.json")).json();
const inHalves = (values: Iterable<number>) => new Float32Array(Float16Array.from(values));

describe("packRows", () => {
  test("eight nibbles a word, the first weight lowest; a scale for each 32", () => {
    // Row of 34: 7 and -7 make the scale 1, then 0..5 in units of it; the second group is [-2, 2], its scale 2/7.
    const row = new Float32Array(34);
    row.set([7, -7, 0, 1, -1, 2.4, 2.6, -3.5], 0);
    row.set([-2, 2], 32);
    const { words, scales } = packRows(row, 1, 34, "float32");
    expect([...scales]).toEqual([1, Math.fround(2 / 7)]);
    expect(words[0].toString(16)).toBe("4a9687" + "0e");
    expect([...words.slice(1, 4)].map((word) => word.toString(16))).toEqual(["77777777", "77777777", "77777777"]);
    expect([...words.slice(4)].map((word) => word.toString(16))).toEqual(["e0", "0", "0", "0"]);
  });

  for (const dtype of ["float32", "float16"] as const)
    test(`gives what numpy gives, ${dtype}`, () => {
      const { rows, cols } = golden;
      const values = dtype === "float16" ? inHalves(golden.weights) : Float32Array.from(golden.weights);
      const { words, scales } = packRows(values, rows, cols, dtype);
      expect([...words]).toEqual(golden[dtype].words);
      expect([...scales]).toEqual(golden[dtype].scales);
    });

  const weight = fc.oneof(
    fc.float({ noNaN: true, min: -1000, max: 1000 }),
    fc.constantFrom(0, 1e-8, -6e-8, 2 ** -24, 65504, 3e-42),
  );
  const matrix = fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 70 }))
    .chain(([rows, cols]) =>
      fc.tuple(
        fc.constant(rows),
        fc.constant(cols),
        fc.array(weight, { minLength: rows * cols, maxLength: rows * cols }),
      ),
    );

  for (const dtype of ["float32", "float16"] as const)
    test(`comes back within half a step, ${dtype}`, () => {
      fc.assert(
        fc.property(matrix, ([rows, cols, numbers]) => {
          const values = dtype === "float16" ? inHalves(numbers) : Float32Array.from(numbers);
          const packed = packRows(values, rows, cols, dtype);
          const back = unpackRows(packed, rows, cols);
          const perRow = Math.ceil(cols / 32);
          for (const [i, value] of values.entries()) {
            const scale = packed.scales[Math.floor(i / cols) * perRow + Math.floor((i % cols) / 32)];
            // A scale of 0 stands for weights below half the least number of the type times 7; a subnormal scale is itself rounded.
            const least = dtype === "float16" ? 2 ** -24 : 2 ** -149;
            const bound = 0.5 * scale * (1 + 2 ** -20) + 3.5 * least;
            expect(Math.abs(back[i] - value)).toBeLessThanOrEqual(bound);
          }
        }),
        { seed: 11 },
      );
    });

  test("weights that are steps already come back as they were", () => {
    const values = Float32Array.from({ length: 64 }, (_, i) => ((i % 15) - 7) * 2 ** -9);
    expect(unpackRows(packRows(values, 2, 32, "float16"), 2, 32)).toEqual(values);
  });

  test("a scale that f16 rounds down far clips the largest weights", () => {
    const values = Float32Array.of(10 * 2 ** -24, -10 * 2 ** -24, 2 ** -24);
    const { words, scales } = packRows(values, 1, 3, "float16");
    expect([...scales]).toEqual([2 ** -24]);
    expect(words[0].toString(16)).toBe("80e");
  });

  test("a group of zeros: scale 0, all steps 7", () => {
    const { words, scales } = packRows(new Float32Array(32), 1, 32, "float32");
    expect([...scales]).toEqual([0]);
    expect([...words]).toEqual([0x77777777, 0x77777777, 0x77777777, 0x77777777]);
  });
});
