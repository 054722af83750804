import { expect } from "bun:test";
import type { DType } from "@safedelta/engine";
import { bytesOf, type Case, type Trial } from "../trial.ts";

/** The 16-bit floats by their definition: sign, `exponentBits`, `mantissaBits`, bias 2^(exponentBits − 1) − 1. */
const formats = {
  f16: { exponentBits: 5, mantissaBits: 10 },
  bf16: { exponentBits: 8, mantissaBits: 7 },
} as const;
type Half = keyof typeof formats;
const halfTypes = Object.keys(formats) as Half[];

/** The number that a pattern stands for, by the definition of IEEE 754. */
function decode(half: Half, pattern: number): number {
  const { exponentBits, mantissaBits } = formats[half];
  const sign = pattern >>> 15 === 0 ? 1 : -1;
  const exponent = (pattern >>> mantissaBits) & (2 ** exponentBits - 1);
  const mantissa = (pattern & (2 ** mantissaBits - 1)) / 2 ** mantissaBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * 2 ** (1 - bias) * mantissa : sign * 2 ** (exponent - bias) * (1 + mantissa);
}

/** The pattern of +Infinity: patterns below it are the positive finite numbers in order. */
function infinity(half: Half): number {
  return (2 ** formats[half].exponentBits - 1) << formats[half].mantissaBits;
}

const allPatterns = Uint16Array.from({ length: 65536 }, (_, pattern) => pattern);

/** Convert f32 numbers to patterns by the engine. */
function encode(t: Trial, half: Half, values: Float32Array): Uint16Array {
  const H = t.alloc(1, values.length, half);
  t.engine.convert(t.raw(1, values.length, values, "f32"), H);
  const patterns = t.engine.read(H);
  if (!(patterns instanceof Uint16Array)) throw new Error(`read of ${half} gave ${patterns.constructor.name}`);
  return patterns;
}

/** The next f32 number above (or below) a positive one. */
function neighbour(value: number, step: 1 | -1): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  bits[0] += step;
  return new Float32Array(bits.buffer)[0];
}

function isNaNPattern(half: Half, pattern: number): boolean {
  return (pattern & 0x7fff) > infinity(half);
}

function halfCases(half: Half): Case[] {
  const finite = allPatterns.subarray(0, infinity(half));
  /** Half way to the next number; for the largest one, half way to what would come next, which is the border of overflow. */
  const middles = Float32Array.from(finite, (pattern) => {
    const value = decode(half, pattern);
    const below = decode(half, Math.max(pattern - 1, 0));
    const next = pattern + 1 < infinity(half) ? decode(half, pattern + 1) : value + (value - below);
    return (value + next) / 2;
  });
  return [
    {
      name: `every ${half} pattern becomes its number`,
      run(t) {
        const F = t.blank(256, 256);
        t.engine.convert(t.raw(256, 256, allPatterns, half), F);
        const expected = Float32Array.from(allPatterns, (pattern) => decode(half, pattern));
        const actual = t.engine.read(F);
        const wrong = allPatterns.findIndex((pattern) => !Object.is(actual[pattern], expected[pattern]));
        expect(wrong).toBe(-1);
      },
    },
    {
      name: `every ${half} pattern comes back from f32, NaN as some NaN`,
      run(t) {
        const [F, back] = [t.blank(256, 256), t.alloc(256, 256, half)];
        t.engine.convert(t.raw(256, 256, allPatterns, half), F);
        t.engine.convert(F, back);
        const actual = t.engine.read(back);
        const same = (pattern: number) =>
          isNaNPattern(half, pattern) ? isNaNPattern(half, actual[pattern]) : actual[pattern] === pattern;
        expect(allPatterns.findIndex((pattern) => !same(pattern))).toBe(-1);
      },
    },
    {
      name: `f32 to ${half}: ties go to even, all else to the nearest, both signs`,
      run(t) {
        for (const sign of [0, 0x8000]) {
          const signed = (values: Float32Array) => values.map((value) => (sign === 0 ? value : -value));
          const expected = (up: (pattern: number) => boolean) => finite.map((p) => sign | (up(p) ? p + 1 : p));
          expect(encode(t, half, signed(middles))).toEqual(expected((pattern) => pattern % 2 === 1));
          expect(encode(t, half, signed(middles.map((v) => neighbour(v, -1))))).toEqual(expected(() => false));
          expect(encode(t, half, signed(middles.map((v) => neighbour(v, 1))))).toEqual(expected(() => true));
        }
      },
    },
    {
      name: `f32 to ${half}: infinities, NaN, signed zeros, the largest and the smallest f32`,
      run(t) {
        const inf = infinity(half);
        const [large, small] = [3.4028234663852886e38, 1.401298464324817e-45];
        const values = [Infinity, -Infinity, 0, -0, large, -large, small, -small];
        const expected = [inf, 0x8000 | inf, 0, 0x8000, inf, 0x8000 | inf, 0, 0x8000];
        expect([...encode(t, half, Float32Array.from(values))]).toEqual(expected);
        const nans = new Uint32Array([0x7fc00000, 0xffc00000, 0x7f800001, 0xff800001, 0x7fffffff]);
        const patterns = encode(t, half, new Float32Array(nans.buffer));
        expect([...patterns].every((pattern) => isNaNPattern(half, pattern))).toBe(true);
      },
    },
    {
      name: `convert ${half} to ${half} and views with strides`,
      run(t) {
        const source = t.raw(256, 256, allPatterns, half);
        const [copy, F] = [t.alloc(17, 33, half), t.blank(17, 33, "view")];
        t.engine.convert(source.view(40, 50, 17, 33), copy);
        t.engine.convert(copy, F);
        const pattern = (at: number) => (40 + Math.floor(at / 33)) * 256 + 50 + (at % 33);
        const expected = Uint16Array.from({ length: 17 * 33 }, (_, at) => pattern(at));
        expect(t.engine.read(copy)).toEqual(expected);
        expect(t.engine.read(F)).toEqual(Float32Array.from(expected, (p) => decode(half, p)));
      },
    },
  ];
}

/** Directly from one 16-bit type to the other: the same as through f32. */
function acrossCase(from: Half, to: Half): Case {
  return {
    name: `every ${from} pattern to ${to}, as through f32`,
    run(t) {
      const source = t.raw(256, 256, allPatterns, from);
      const [F, direct, through] = [t.blank(256, 256), t.alloc(256, 256, to), t.alloc(256, 256, to)];
      t.engine.convert(source, direct);
      t.engine.convert(source, F);
      t.engine.convert(F, through);
      expect(t.engine.read(direct)).toEqual(t.engine.read(through));
    },
  };
}

const roundTrips: Case[] = [
  {
    name: "write, convert f32 to f32 and read keep every bit, subnormals included",
    run(t) {
      const bits = Uint32Array.from({ length: 4096 }, () => Math.floor(t.random.uniform() * 2 ** 32));
      bits.set([0, 0x80000000, 1, 0x80000001, 0x007fffff, 0x7f800000, 0xff800000, 0x7f7fffff]);
      const values = new Float32Array(bits.buffer).map((value) => (Number.isNaN(value) ? 1 : value));
      const copy = t.blank(64, 64);
      t.engine.convert(t.raw(64, 64, values, "f32"), copy);
      expect(bytesOf(t.engine.read(copy))).toEqual(bytesOf(values));
    },
  },
  ...(["f32", "f16", "bf16"] satisfies DType[]).map((dtype) => ({
    name: `write and read through a ${dtype} view`,
    run(t: Trial) {
      const outer = t.alloc(12, 13, dtype);
      const values = dtype === "f32" ? t.random.normals(35) : allPatterns.subarray(900, 935);
      t.engine.write(outer.view(4, 6, 5, 7), values);
      expect(bytesOf(t.engine.read(outer.view(4, 6, 5, 7)))).toEqual(bytesOf(values));
      const others = [...t.engine.read(outer)].filter((value) => value === 0).length;
      expect(others).toBe(12 * 13 - 35);
    },
  })),
];

export const conversionCases: readonly Case[] = [
  ...halfTypes.flatMap(halfCases),
  acrossCase("f16", "bf16"),
  acrossCase("bf16", "f16"),
  ...roundTrips,
];
