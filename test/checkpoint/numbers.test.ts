import { describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  decodeF32,
  encode,
  firstNonFinite,
  requireFinite,
  type Tensor,
  type TensorDType,
  viewF32,
} from "@safedelta/checkpoint";
import fc from "fast-check";
import { failure } from "./tools.ts";

/** Values by torch; see fixtures/make_fixtures.py. */
const numbers = JSON.parse(await readFile(join(import.meta.dir, "fixtures/numbers.json"), "utf8"));
const bytesOf = (name: string) => new Uint8Array(Buffer.from(numbers[name], "base64"));
const floatsOf = (name: string) => new Float32Array(bytesOf(name).buffer);

function tensor(dtype: TensorDType, bytes: Uint8Array): Tensor {
  return { name: "x", dtype, shape: [bytes.length], bytes };
}

const allBytes = Uint8Array.from({ length: 256 }, (_, i) => i);
const allHalves = new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer);
const isNaN16 = (bits: number, mask: number) => (bits & mask) === mask && (bits & (0x7fff ^ mask)) !== 0;

describe("decode", () => {
  test.each([
    ["F8_E4M3", "e4m3"],
    ["F8_E5M2", "e5m2"],
  ] as const)("%s equals torch on all 256 bytes", (dtype, name) => {
    expect(Array.from(decodeF32(tensor(dtype, allBytes)))).toEqual(Array.from(floatsOf(name)));
  });

  test.each([
    ["BF16", 0x7f80],
    ["F16", 0x7c00],
  ] as const)("%s: every bit pattern comes back", (dtype, exponent) => {
    const back = new Uint16Array(encode(decodeF32(tensor(dtype, allHalves)), dtype).buffer);
    const wrong = back.findIndex((bits, i) => (isNaN16(i, exponent) ? !isNaN16(bits, exponent) : bits !== i));
    expect(wrong).toBe(-1);
  });

  test("bytes at an odd address are read right", () => {
    const values = new Float32Array([1.5, -2, 3e-40]);
    const shifted = new Uint8Array(13);
    shifted.set(new Uint8Array(values.buffer), 1);
    expect(decodeF32(tensor("F32", shifted.subarray(1)))).toEqual(values);
    expect(viewF32(tensor("F32", shifted.subarray(1)))).toEqual(values);
    expect(firstNonFinite(tensor("F32", shifted.subarray(1)))).toBe(-1);
  });

  test("is a copy", () => {
    const bytes = new Uint8Array(new Float32Array([1]).buffer);
    decodeF32(tensor("F32", bytes))[0] = 2;
    expect(new Float32Array(bytes.buffer)[0]).toBe(1);
  });

  test("a view copies nothing of f32, and decodes the rest", () => {
    const values = new Float32Array([0, 1, 2, 3]);
    const part = new Uint8Array(values.buffer).subarray(4, 12);
    expect(viewF32(tensor("F32", part))).toEqual(new Float32Array([1, 2]));
    expect(viewF32(tensor("F32", part)).buffer).toBe(values.buffer);
    expect(viewF32(tensor("BF16", new Uint8Array([0x80, 0x3f])))).toEqual(new Float32Array([1]));
  });

  test.each(["I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"] as const)(
    "%s is refused by name",
    async (dtype) => {
      const error = await failure(() => decodeF32(tensor(dtype, new Uint8Array(8))));
      expect([error.kind, error.tensor]).toEqual(["unsupported", "x"]);
      expect(error.message).toContain(dtype);
      expect((await failure(() => encode(new Float32Array(1), dtype))).kind).toBe("unsupported");
    },
  );
});

describe("encode", () => {
  test.each([
    ["BF16", "bf16", 0x7f80],
    ["F16", "f16", 0x7c00],
  ] as const)("%s rounds as torch does", (dtype, name, exponent) => {
    const ours = new Uint16Array(encode(floatsOf("f32"), dtype).buffer);
    const theirs = new Uint16Array(bytesOf(name).buffer);
    const wrong = ours.findIndex((bits, i) =>
      isNaN16(theirs[i], exponent) ? !isNaN16(bits, exponent) : bits !== theirs[i],
    );
    expect(wrong).toBe(-1);
  });

  test("BF16 is the nearest of its two neighbours, the even one when they tie", () => {
    const parts = new DataView(new ArrayBuffer(4));
    const fromBits = (bits: number) => {
      parts.setUint32(0, bits << 16);
      return parts.getFloat32(0);
    };
    fc.assert(
      fc.property(fc.float({ noNaN: true, min: Math.fround(-3e38), max: Math.fround(3e38) }), (x) => {
        const [bits] = new Uint16Array(encode(new Float32Array([x]), "BF16").buffer);
        const distance = Math.abs(fromBits(bits) - x);
        for (const other of [bits - 1, bits + 1].filter((b) => (b & 0x7fff) < 0x7f80 && (b ^ bits) < 0x8000)) {
          const otherDistance = Math.abs(fromBits(other) - x);
          expect(distance <= otherDistance).toBe(true);
          if (distance === otherDistance) expect(bits & 1).toBe(0);
        }
      }),
      { numRuns: 500, seed: 1 },
    );
  });
});

describe("firstNonFinite", () => {
  test.each(["F64", "F32", "F16", "BF16"] as const)("%s: finds NaN and both infinities where they are", (dtype) => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const values = new Float32Array(100).fill(-1.25);
      expect(firstNonFinite(tensor(dtype, encode(values, dtype)))).toBe(-1);
      values[77] = bad;
      values[90] = bad;
      expect(firstNonFinite(tensor(dtype, encode(values, dtype)))).toBe(77);
    }
  });

  test.each(["F8_E4M3", "F8_E5M2"] as const)("%s: agrees with the decoded values", (dtype) => {
    for (const byte of allBytes) {
      const one = tensor(dtype, new Uint8Array([byte]));
      expect(firstNonFinite(one)).toBe(Number.isFinite(decodeF32(one)[0]) ? -1 : 0);
    }
  });

  test("integers have none", () => {
    expect(firstNonFinite(tensor("I32", new Uint8Array(8).fill(255)))).toBe(-1);
  });

  test("requireFinite names file, tensor and position", async () => {
    const bytes = encode(new Float32Array([1, Number.NaN]), "BF16");
    const error = await failure(() => requireFinite(tensor("BF16", bytes), "model.safetensors"));
    expect([error.file, error.tensor, error.kind]).toEqual(["model.safetensors", "x", "format"]);
    expect(error.message).toContain("element 1");
  });
});
