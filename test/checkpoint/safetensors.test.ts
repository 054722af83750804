import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  CheckpointError,
  type Disk,
  decodeF32,
  nodeDisk,
  openSafetensors,
  writeSafetensors,
} from "@safedelta/checkpoint";
import fc from "fast-check";
import { failure, randomTensor, tempFolder } from "./tools.ts";

/** A file out of a header (text, or an object) and its data. */
function fileBytes(header: unknown, data: Uint8Array = new Uint8Array()): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

async function opened(bytes: Uint8Array): Promise<{ error?: CheckpointError; names?: string[] }> {
  await using folder = await tempFolder();
  const path = join(folder.path, "x.safetensors");
  await writeFile(path, bytes);
  try {
    const file = await openSafetensors(path);
    await file.close();
    return { names: [...file.tensors.keys()] };
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    expect(error.file).toBe(path);
    return { error };
  }
}

const entry = (start: number, end: number, shape = [(end - start) / 4], dtype = "F32") => ({
  dtype,
  shape,
  data_offsets: [start, end],
});

describe("a file by Python", () => {
  const path = join(import.meta.dir, "fixtures/python.safetensors");
  const floats = ["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"] as const;
  const integers = ["I64", "I32", "I16", "I8", "U8"] as const;

  test("is read with all its types", async () => {
    const file = await openSafetensors(path);
    expect([...file.tensors.keys()].sort()).toEqual([...floats, ...integers, "BOOL", "scalar", "none"].sort());
    expect(file.metadata).toEqual({ format: "pt", made: "by safetensors" });
    const exact = decodeF32(await file.read("F32"));
    const bits = { F64: 24, F32: 24, F16: 11, BF16: 8, F8_E4M3: 4, F8_E5M2: 3 };
    for (const dtype of floats) {
      const values = decodeF32(await file.read(dtype));
      for (const [i, value] of values.entries())
        expect(Math.abs(value - exact[i])).toBeLessThanOrEqual(
          2 ** -bits[dtype] * Math.max(Math.abs(exact[i]), 2 ** -5),
        );
    }
    for (const dtype of integers)
      expect((await file.read(dtype)).bytes[dtype === "I64" ? 8 : (await file.read(dtype)).bytes.length / 15]).toBe(1);
    expect(decodeF32(await file.read("scalar"))).toEqual(new Float32Array([0.5]));
    expect((await file.read("none")).bytes.length).toBe(0);
    await file.close();
  });

  test("written again has the same tensors", async () => {
    await using folder = await tempFolder();
    const file = await openSafetensors(path);
    const tensors = await Promise.all([...file.tensors.keys()].map((name) => file.read(name)));
    const copy = join(folder.path, "copy.safetensors");
    await writeSafetensors(copy, tensors, file.metadata);
    const again = await openSafetensors(copy);
    expect(again.metadata).toEqual(file.metadata);
    for (const tensor of tensors) expect(await again.read(tensor.name)).toEqual(tensor);
    await file.close();
    await again.close();
  });

  test("rows are parts of the whole", async () => {
    const file = await openSafetensors(path);
    const whole = await file.read("BF16");
    const rows = await file.readRows("BF16", 1, 2);
    expect(rows.shape).toEqual([2, 5]);
    expect(rows.bytes).toEqual(whole.bytes.slice(10));
    for (const [start, count] of [
      [-1, 1],
      [0, 4],
      [3, 1],
      [0.5, 1],
    ])
      expect((await failure(() => file.readRows("BF16", start, count))).tensor).toBe("BF16");
    expect((await failure(() => file.readRows("scalar", 0, 1))).kind).toBe("missing");
    expect((await failure(() => file.read("nobody"))).message).toContain("nobody");
    await file.close();
  });
});

describe("rules of the header", () => {
  const data = new Uint8Array(16);
  const valid = { a: entry(0, 8), b: entry(8, 16) };

  test("a valid one passes, also unpadded, with unaligned tensors and in any order", async () => {
    expect((await opened(fileBytes(valid, data))).names).toEqual(["a", "b"]);
    expect((await opened(fileBytes({ b: valid.b, a: valid.a }, data))).names).toEqual(["a", "b"]);
    const odd = { byte: entry(0, 1, [1], "U8"), f: entry(1, 5) };
    expect((await opened(fileBytes(odd, new Uint8Array(5)))).names).toEqual(["byte", "f"]);
    expect((await opened(fileBytes({}))).names).toEqual([]);
    expect((await opened(fileBytes(`${JSON.stringify(valid)}   `, data))).names).toEqual(["a", "b"]);
  });

  const longHeader = fileBytes(valid, data);
  new DataView(longHeader.buffer).setBigUint64(0, 100_000_001n, true);
  const pastEnd = fileBytes(valid, data);
  new DataView(pastEnd.buffer).setBigUint64(0, 5000n, true);
  const hugeHeader = fileBytes(valid, data);
  new DataView(hugeHeader.buffer).setBigUint64(0, 2n ** 63n, true);
  const notUtf8 = fileBytes('{"a??":1}');
  notUtf8.set([0xff, 0xfe], 11);

  const cases: [string, Uint8Array, RegExp][] = [
    ["an empty file", new Uint8Array(), /0 bytes, fewer than the 8/],
    ["a file shorter than the length", new Uint8Array(5), /5 bytes, fewer than the 8/],
    ["a header above the limit", longHeader, /100000001 bytes; at most 100000000/],
    ["a length of 2^63", hugeHeader, /9223372036854775808 bytes/],
    ["a header longer than the file", pastEnd, /ends at byte 5008 .* truncated/],
    ["no JSON", fileBytes("not json"), /header is not JSON/],
    ["no UTF-8", notUtf8, /header is not JSON/],
    ["a byte order mark", fileBytes(`\ufeff${JSON.stringify(valid)}`, data), /header is not JSON/],
    ["an array", fileBytes([]), /not a JSON object/],
    ["null", fileBytes("null"), /not a JSON object/],
    [
      "a name twice",
      fileBytes(
        '{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}',
        new Uint8Array(1),
      ),
      /name "a" twice/,
    ],
    [
      "a field twice",
      fileBytes('{"a":{"dtype":"U8","dtype":"I8","shape":[],"data_offsets":[0,1]}}', new Uint8Array(1)),
      /name "dtype" twice/,
    ],
    ["metadata that is not strings", fileBytes({ __metadata__: { n: 1 } }), /object of strings/],
    ["metadata that is a list", fileBytes({ __metadata__: ["a"] }), /object of strings/],
    ["an entry that is no object", fileBytes({ a: 3 }), /entry of tensor a is not an object/],
    ["no dtype", fileBytes({ a: { shape: [], data_offsets: [0, 4] } }, data), /tensor a has no dtype/],
    ["an unknown dtype", fileBytes({ a: entry(0, 16, [4], "F4") }, data), /element type F4/],
    ["a dtype named like a method", fileBytes({ a: entry(0, 16, [4], "toString") }, data), /element type toString/],
    ["a negative size", fileBytes({ a: entry(0, 16, [-4]) }, data), /impossible shape \[-4\]/],
    ["a fractional size", fileBytes({ a: entry(0, 16, [1.5]) }, data), /impossible shape/],
    ["a shape that overflows", fileBytes({ a: entry(0, 16, [2 ** 40, 2 ** 40]) }, data), /impossible shape/],
    ["no shape", fileBytes({ a: { dtype: "F32", data_offsets: [0, 4] } }, data), /impossible shape undefined/],
    [
      "three offsets",
      fileBytes({ a: { dtype: "F32", shape: [4], data_offsets: [0, 16, 16] } }, data),
      /impossible data_offsets/,
    ],
    [
      "offsets that are text",
      fileBytes({ a: { dtype: "F32", shape: [4], data_offsets: ["0", "16"] } }, data),
      /impossible data_offsets/,
    ],
    [
      "an end before its start",
      fileBytes({ a: { dtype: "F32", shape: [4], data_offsets: [16, 0] } }, data),
      /needs 16 bytes .* hold -16/,
    ],
    ["a size unlike shape x dtype", fileBytes({ a: entry(0, 16, [5]) }, data), /needs 20 bytes .* hold 16/],
    ["a hole", fileBytes({ a: entry(0, 4), b: entry(8, 16) }, data), /hole of 4 bytes lies before tensor b/],
    ["a hole at the start", fileBytes({ a: entry(4, 16) }, data), /hole of 4 bytes lies before tensor a/],
    ["an overlap", fileBytes({ a: entry(0, 12), b: entry(8, 16) }, data), /tensor b at data byte 8 overlaps/],
    ["a truncated file", fileBytes(valid, data.subarray(3)), /end at data byte 16 but the file at 13: it is truncated/],
    ["bytes after the last tensor", fileBytes(valid, new Uint8Array(17)), /1 bytes follow the last tensor/],
  ];
  test.each(cases)("%s is refused", async (_, bytes, message) => {
    const { error } = await opened(bytes);
    expect(error?.message).toMatch(message);
    expect(error?.kind).toBe(/element type/.test(error?.message ?? "") ? "unsupported" : "format");
  });

  test("the tensor at fault is named", async () => {
    expect((await opened(fileBytes({ a: entry(0, 4), b: entry(8, 16) }, data))).error?.tensor).toBe("b");
  });

  test("__proto__ is a name like any other", async () => {
    const json = '{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}';
    expect((await opened(fileBytes(json, new Uint8Array(1)))).names).toEqual(["__proto__"]);
  });

  test("a missing file and a folder are errors with their names", async () => {
    await using folder = await tempFolder();
    const missing = join(folder.path, "none.safetensors");
    const error = await failure(() => openSafetensors(missing));
    expect([error.kind, error.file]).toEqual(["not-found", missing]);
    expect((await failure(() => openSafetensors(folder.path))).kind).toBe("io");
  });

  test("a file that is cut while it is open is an error", async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, "x.safetensors");
    await writeSafetensors(path, [randomTensor("a", [100], 1)]);
    const file = await openSafetensors(path);
    await writeFile(path, (await readFile(path)).subarray(0, 200));
    expect((await failure(() => file.read("a"))).message).toContain("cut short");
    await file.close();
  });
});

describe("random bytes", () => {
  const check = async (bytes: Uint8Array) => {
    const { error, names } = await opened(bytes);
    expect(error instanceof CheckpointError || Array.isArray(names)).toBe(true);
  };

  test("any bytes open or fail with a typed error", async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), check), { numRuns: 200, seed: 2 });
  });

  test("any JSON as a header opens or fails with a typed error", async () => {
    const sized = fc.tuple(fc.json({ maxDepth: 4 }), fc.uint8Array({ maxLength: 20 }));
    await fc.assert(
      fc.asyncProperty(sized, ([json, data]) => check(fileBytes(json, data))),
      { numRuns: 200, seed: 3 },
    );
  });

  test("headers that are nearly right open or fail with a typed error", async () => {
    const number = fc.oneof(fc.nat(20), fc.integer(), fc.double(), fc.constant(2 ** 53), fc.string());
    const near = fc.record(
      {
        dtype: fc.oneof(fc.constantFrom("F32", "BF16", "U8", "I64"), fc.string()),
        shape: fc.oneof(fc.array(fc.nat(5), { maxLength: 3 }), fc.array(number, { maxLength: 3 })),
        data_offsets: fc.oneof(fc.tuple(fc.nat(20), fc.nat(20)), fc.array(number, { maxLength: 3 })),
      },
      { requiredKeys: [] },
    );
    const header = fc.dictionary(fc.oneof(fc.string(), fc.constant("__metadata__")), near, { maxKeys: 4 });
    const pair = fc.tuple(header, fc.uint8Array({ maxLength: 24 }));
    await fc.assert(
      fc.asyncProperty(pair, ([h, data]) => check(fileBytes(h, data))),
      { numRuns: 300, seed: 4 },
    );
  });

  test("one changed byte in a good file opens or fails with a typed error", async () => {
    const good = fileBytes({ a: entry(0, 8), b: entry(8, 16) }, new Uint8Array(16));
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    const flipped = ([at, value]: [number, number]) => good.with(at, value);
    await fc.assert(
      fc.asyncProperty(change, (c) => check(flipped(c))),
      { numRuns: 300, seed: 5 },
    );
  });

  test("deep nesting and long names are answered at once", async () => {
    await check(fileBytes(`{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`));
    await check(fileBytes(`{"${"\\n".repeat(300_000)}":1}`));
  });
});

describe("write", () => {
  test("what is written is read, whatever the names", async () => {
    const names = fc.uniqueArray(fc.string({ unit: "grapheme" }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(names, fc.nat(5), async (list, n) => {
        await using folder = await tempFolder();
        const path = join(folder.path, "x.safetensors");
        const tensors = list.filter((name) => name !== "__metadata__").map((name, i) => randomTensor(name, [n, i], i));
        await writeSafetensors(path, tensors);
        const header = await readFile(path);
        expect(Number(header.readBigUInt64LE(0)) % 8).toBe(0);
        const file = await openSafetensors(path);
        expect(file.metadata).toEqual({ format: "pt" });
        for (const tensor of tensors) expect(await file.read(tensor.name)).toEqual(tensor);
        await file.close();
      }),
      { numRuns: 30, seed: 6 },
    );
  });

  test("bytes that do not fit and a name twice are refused before anything is written", async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, "x.safetensors");
    const a = randomTensor("a", [4], 1);
    expect((await failure(() => writeSafetensors(path, [{ ...a, shape: [5] }]))).tensor).toBe("a");
    expect((await failure(() => writeSafetensors(path, [a, a]))).message).toContain("twice");
    expect(await readdir(folder.path)).toEqual([]);
  });

  test("a full disk leaves the former file and nothing else", async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, "x.safetensors");
    await writeSafetensors(path, [randomTensor("a", [4], 1)]);
    const before = await readFile(path);
    const full = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    for (const call of ["open", "write", "sync", "rename"] as const) {
      const disk: Disk = { ...nodeDisk, [call]: () => Promise.reject(full) };
      const error = await failure(() => writeSafetensors(path, [randomTensor("b", [9], 2)], {}, disk));
      expect([error.kind, error.file]).toEqual(["disk-full", path]);
      expect(await readdir(folder.path)).toEqual(["x.safetensors"]);
      expect(await readFile(path)).toEqual(before);
    }
  });

  test("/dev/full, a real full device", async () => {
    if (!existsSync("/dev/full")) return console.warn("skipped: this system has no /dev/full");
    const disk: Disk = { ...nodeDisk, open: () => nodeDisk.open("/dev/full", "r+") };
    await using folder = await tempFolder();
    const error = await failure(() => writeSafetensors(join(folder.path, "x"), [randomTensor("b", [9], 2)], {}, disk));
    expect(error.kind).toBe("disk-full");
    expect(await readdir(folder.path)).toEqual([]);
  });
});
