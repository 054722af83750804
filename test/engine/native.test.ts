import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Engine, EngineUnavailableError, type Matrix, openEngine } from "@safedelta/engine";
import { parseHeader, symbolTable } from "../../engine/src/ffi/header.ts";
import { openLibrary } from "../../engine/src/ffi/library.ts";
import { symbols } from "../../engine/src/ffi/symbols.ts";
import { openNative } from "../../engine/src/native.ts";
import { scratchFolder } from "../support/pico.ts";

const engineFolder = resolve(import.meta.dir, "../../engine");
const library = join(engineFolder, "native", "libsafedelta_native.so");
const header = await Bun.file(join(engineFolder, "include/safedelta.h")).text();
const built = existsSync(library);
const onBuilt = test.skipIf(!built);
const why = built ? "" : " (skipped: not built; bun run build:native)";

describe("one ABI", () => {
  test("the symbol table is what the header gives", async () => {
    expect(await Bun.file(join(engineFolder, "src/ffi/symbols.ts")).text()).toBe(symbolTable(header));
    expect(Object.keys(symbols).length).toBeGreaterThan(25);
  });

  test("a changed header gives another table", () => {
    expect(symbolTable(header.replace("float alpha, ", ""))).not.toBe(symbolTable(header));
    expect(() => parseHeader("SD_API int32_t sd_new(sd_engine *engine, long size);")).toThrow("unknown type");
    expect(() => parseHeader("SD_API int32_t sd_new(sd_engine *engine,")).toThrow("known form");
  });

  onBuilt(`the library exports what the header says, and nothing else of ours${why}`, () => {
    const { stdout } = Bun.spawnSync(["nm", "-D", "--defined-only", library]);
    const exported = [...stdout.toString().matchAll(/ T (sd_\w+)/g)].map(([, name]) => name);
    expect(exported.sort()).toEqual(Object.keys(parseHeader(header)).sort());
  });

  onBuilt(`the header compiles as C and as C++${why}`, () => {
    for (const language of ["c", "c++"]) {
      const args = [
        "-x",
        language,
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fsyntax-only",
        join(engineFolder, "include/safedelta.h"),
      ];
      const { exitCode, stderr } = Bun.spawnSync(["g++", ...args]);
      expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: "" });
    }
  });
});

describe("the library that is missing or another", () => {
  test("no file, and a file that is no library, are told with the command that builds it", async () => {
    await using scratch = await scratchFolder();
    const path = join(scratch.path, "libother.so");
    await expect(openLibrary(path, "bun run build:native")).rejects.toThrow(/libother\.so.*bun run build:native/);
    await Bun.write(path, "no library");
    await expect(openLibrary(path, "bun run build:native")).rejects.toThrow(EngineUnavailableError);
  });

  onBuilt(`one that is cut short is told, and does not end the process${why}`, async () => {
    await using scratch = await scratchFolder();
    const path = join(scratch.path, "libshort.so");
    const whole = await Bun.file(library).bytes();
    await Bun.write(path, whole);
    expect((await openLibrary(path, "bun run build:native")).path).toBe(path);
    for (const bytes of [whole.length - 1000, whole.length >> 1, 100_000, 70]) {
      await Bun.write(join(scratch.path, `${bytes}.so`), whole.subarray(0, bytes));
      const opened = openLibrary(join(scratch.path, `${bytes}.so`), "bun run build:native");
      await expect(opened).rejects.toThrow(/is cut short: \d+ bytes of \d+ at least: run `bun run build:native`/);
    }
  });

  test("a library without our functions", async () => {
    const libc = ["/lib/x86_64-linux-gnu/libm.so.6", "/usr/lib/libm.dylib"].find((path) => existsSync(path));
    if (libc) await expect(openLibrary(libc, "bun run build:native")).rejects.toThrow(/sd_abi_version/);
  });
});

/** Operations whose work is shared out among threads, at sizes that give each some; their results' bytes. */
function results(engine: Engine): Float32Array[] {
  const random = (rows: number, cols: number, seed: number) => {
    const m = engine.alloc(rows, cols);
    let state = seed;
    const next = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 31 - 1;
    };
    engine.write(m, Float32Array.from({ length: rows * cols }, next));
    return m;
  };
  const all: Float32Array[] = [];
  const keep = (m: Matrix) => all.push(engine.read(m) as Float32Array);
  const n = 391;
  const [a, b, c] = [random(n, 517, 1), random(517, 333, 2), engine.alloc(n, 333)];
  engine.gemm(1.5, a, false, b, false, 0, c);
  keep(c);
  const h = engine.alloc(n, n);
  engine.syrk(1, random(700, n, 3), 0, h);
  for (let i = 0; i < n; i++) engine.add(1, random(1, 1, i).view(0, 0, 1, 1), h.view(i, i, 1, 1));
  engine.mirror(h);
  keep(h);
  const { values, vectors } = engine.eigh(h);
  keep(vectors);
  all.push(Float32Array.from(values));
  engine.choleskyReverse(h);
  keep(h);
  const x = random(290, n, 4);
  engine.trsm(x, h, true);
  keep(x);
  engine.trmm(x, h, false);
  keep(x);
  engine.invertTriangle(h);
  keep(h);
  const qkv = [random(200, 128, 5), random(200, 64, 6), random(200, 64, 7), engine.alloc(200, 128)] as const;
  engine.attention(qkv[0], qkv[1], qkv[2], { nHeads: 4, nKvHeads: 2, headDim: 32, scale: 0.2 }, qkv[3]);
  keep(qkv[3]);
  return all;
}

onBuilt(`any number of threads gives the same bytes${why}`, async () => {
  using alone = await openNative(1);
  const expected = results(alone);
  for (const threads of [2, 3, 5, 8]) {
    using engine = await openNative(threads);
    expect(engine.info.threads).toBe(threads);
    expect(results(engine)).toEqual(expected);
  }
});

/** H v = λ v for all pairs and VᵀV = I, as the largest deviation from each. */
function eigenErrors(engine: Engine, h: Matrix): { residual: number; orthogonality: number } {
  const n = h.rows;
  const { values, vectors } = engine.eigh(h);
  const [product, gram] = [engine.alloc(n, n), engine.alloc(n, n)];
  engine.gemm(1, h, false, vectors, false, 0, product);
  engine.gemm(1, vectors, true, vectors, false, 0, gram);
  const [v, hv, vv] = [vectors, product, gram].map((m) => engine.read(m) as Float32Array);
  let [residual, orthogonality] = [0, 0];
  for (let k = 0; k < n * n; k++) {
    residual = Math.max(residual, Math.abs(hv[k] - v[k] * values[k % n]));
    orthogonality = Math.max(orthogonality, Math.abs(vv[k] - (k % (n + 1) === 0 ? 1 : 0)));
  }
  return { residual: residual / values[n - 1], orthogonality };
}

onBuilt(`eigenvectors of a matrix whose products are cut into pieces${why}`, async () => {
  using engine = await openNative(2);
  for (const n of [480, 501]) {
    const h = engine.alloc(n, n);
    const x = engine.alloc(n + 40, n);
    engine.write(
      x,
      Float32Array.from({ length: x.rows * n }, (_, i) => Math.sin(i * i * 0.37 + i)),
    );
    engine.syrk(1, x, 0, h);
    engine.mirror(h);
    const { residual, orthogonality } = eigenErrors(engine, h);
    expect(residual).toBeLessThan(1e-6);
    expect(orthogonality).toBeLessThan(1e-6);
  }
});

/** What the operations of training give, as hashes, at sizes that wake several threads. */
function trainingHashes(engine: Engine): (number | bigint)[] {
  const hashes: (number | bigint)[] = [];
  const keep = (...results: Matrix[]) => hashes.push(...results.map((m) => Bun.hash(engine.read(m))));
  const random = (rows: number, cols: number, seed: number) => {
    const m = engine.alloc(rows, cols);
    const values = new Float32Array(rows * cols);
    for (let at = 0, state = seed; at < values.length; at++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      values[at] = state / 2 ** 31;
    }
    engine.write(m, values);
    return m;
  };
  const [rows, cols] = [901, 601];
  const [x, other, dWeight] = [random(rows, cols, 1), random(rows, cols, 2), engine.alloc(1, cols)];
  const [one, two] = [engine.alloc(rows, cols), engine.alloc(rows, cols)];
  hashes.push(
    engine.softmaxCrossEntropy(
      x,
      Int32Array.from({ length: rows }, (_, i) => (i * 7) % cols),
      one,
    ),
  );
  keep(one);
  engine.rmsNormBackward(x, random(1, cols, 3), 1e-6, 0, other, one, dWeight);
  keep(one, dWeight);
  engine.gatedActivationBackward("geluTanh", x, other, other, one, two);
  keep(one, two);
  const sums = engine.alloc(7, cols);
  engine.scatterAdd(
    random(2000, cols, 4),
    Int32Array.from({ length: 2000 }, (_, i) => i % 7),
    sums,
  );
  keep(sums);
  const step = { lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1, step: 2, scale: 0.5 };
  engine.adamW(x, other, one, random(rows, cols, 5), { ...step, beta2: 0 });
  keep(x, one);
  const [q, k, v] = [random(200, 128, 6), random(200, 64, 7), random(200, 64, 8)];
  const [out, dOut, dQ] = [random(200, 128, 9), random(200, 128, 10), engine.alloc(200, 128)];
  const [dK, dV] = [engine.alloc(200, 64), engine.alloc(200, 64)];
  engine.attentionBackward(q, k, v, { nHeads: 4, nKvHeads: 2, headDim: 32, scale: 0.2 }, out, dOut, dQ, dK, dV);
  keep(dQ, dK, dV);
  return hashes;
}

onBuilt(`any number of threads gives the same bytes in training${why}`, async () => {
  using alone = await openNative(1);
  const expected = trainingHashes(alone);
  for (const threads of [2, 3, 8]) {
    using engine = await openNative(threads);
    expect(trainingHashes(engine)).toEqual(expected);
  }
});

onBuilt(`auto takes it first${why}`, async () => {
  const { engine } = await openEngine("auto");
  using opened = engine;
  expect(opened.info.name).toBe("native");
});

onBuilt(`memory that cannot be had is an EngineMemoryError${why}`, async () => {
  using engine = await openNative(1);
  expect(() => engine.alloc(2 ** 31 - 1, 2 ** 20)).toThrow(/no room/);
  expect(engine.bytesInUse).toBe(0);
});

onBuilt(
  `memory on both sides of what comes from the system is zeros, whatever lay there before, and goes back${why}`,
  async () => {
    using engine = await openNative(2);
    const least = 2 ** 20; // numbers; see pages.rs
    for (const cols of [least - 1, least, least + 1, 9 * least]) {
      for (let round = 0; round < 3; round++) {
        using m = engine.alloc(1, cols);
        expect((engine.read(m) as Float32Array).every((value) => Object.is(value, 0))).toBe(true);
        engine.fill(m, Number.NaN);
      }
    }
    expect(engine.bytesInUse).toBe(0);
    const before = process.memoryUsage.rss();
    for (let round = 0; round < 50; round++) {
      using m = engine.alloc(1, 9 * least);
      engine.fill(m, 1);
    }
    expect(process.memoryUsage.rss() - before).toBeLessThan(10 * 9 * 4 * least);
  },
);
