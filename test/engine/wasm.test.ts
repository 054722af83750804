import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { join, resolve } from "node:path";
import { type Engine, EngineMemoryError, type Matrix, openEngine } from "@safedelta/engine";
import type { FullMemory } from "./full-memory-job.ts";

const engineFolder = resolve(import.meta.dir, "../../engine");
const outputs = join(engineFolder, "wasm");
const crate = join(engineFolder, "cpu");
const node = Bun.which("node");

describe("memory that grows", () => {
  let engine: Engine;
  const held: Matrix[] = [];
  beforeAll(async () => {
    engine = (await openEngine("wasm")).engine;
  });
  afterAll(() => engine[Symbol.dispose]());

  function ramp(rows: number, cols: number): Float32Array {
    return Float32Array.from({ length: rows * cols }, (_, at) => at);
  }

  test("what was written before stays, in matrices and their views", () => {
    const m = engine.alloc(50, 70);
    const view = m.view(10, 20, 30, 40);
    engine.write(m, ramp(50, 70));
    const before = [engine.read(m), engine.read(view)];
    for (let i = 0; i < 4; i++) held.push(engine.alloc(2048, 4096));
    expect([engine.read(m), engine.read(view)]).toEqual(before);
    engine.fill(view, -1);
    expect(engine.read(m)[10 * 70 + 20]).toBe(-1);
    held.push(m);
  });

  test("bytes are counted exactly and return to the start", () => {
    expect(engine.bytesInUse).toBe(4 * 2048 * 4096 * 4 + 50 * 70 * 4);
    for (const m of held.splice(0)) m[Symbol.dispose]();
    expect(engine.bytesInUse).toBe(0);
    expect(engine.peakBytes).toBe(4 * 2048 * 4096 * 4 + 50 * 70 * 4);
  });

  test("more than 2 GiB in one matrix is an EngineMemoryError that says so", () => {
    const alloc = () => engine.alloc(2 ** 15, 2 ** 14);
    expect(alloc).toThrow(EngineMemoryError);
    expect(alloc).toThrow("2048.0 MiB");
    expect(engine.bytesInUse).toBe(0);
  });

  test("two engines of one process do not see each other's matrices", async () => {
    using other = (await openEngine("wasm")).engine;
    using mine = engine.alloc(3, 3);
    using theirs = other.alloc(3, 3);
    other.fill(theirs, 1);
    expect([...engine.read(mine)]).toEqual(new Array(9).fill(0));
    expect(() => engine.read(theirs)).toThrow("belongs to another engine");
  });
});

describe("all 4 GiB in use", () => {
  let full: FullMemory;
  beforeAll(async () => {
    const job = Bun.spawn([process.execPath, join(import.meta.dir, "full-memory-job.ts")], { stderr: "inherit" });
    full = JSON.parse(await new Response(job.stdout).text());
    expect(await job.exited).toBe(0);
  }, 300_000);

  test("nearly all of it could be had and all was given back", () => {
    expect(full.peakBytes).toBeGreaterThan(3.9 * 2 ** 30);
    expect(full.finalBytes).toBe(0);
  });

  test("every operation that needs working memory says that there is none", () => {
    const expected = Object.keys(full.failures).map((name) => [name, `EngineMemoryError, ${name}`]);
    expect(full.failures).toEqual(Object.fromEntries(expected));
    expect(expected.length).toBeGreaterThan(10);
    expect(full.eighInside).toBe("EngineMemoryError, eigh");
  });

  test("the same bytes above 2 GiB as at the start of memory", () => {
    expect(full.low.every((value) => Number.isFinite(value) && value > 0)).toBe(true);
    expect(full.high).toEqual(full.low);
  });

  test("operations leave nothing behind: they run again and again in the last 4 MiB", () => {
    expect(full.repeated).toEqual(full.low);
  });
});

describe("the committed build", () => {
  const built = readdirSync(outputs).sort();

  test("holds the module, its glue and the hashes of its sources", () => {
    expect(built).toEqual(["kernels.d.ts", "kernels.js", "kernels_bg.wasm", "kernels_bg.wasm.d.ts", "sources.sha256"]);
  });

  test("names no folder or host of the machine that made it", () => {
    const forbidden = ["/root", "/home/", "/work/", "/tmp/", "/usr/", "crates.io", ".cargo", homedir(), hostname()];
    for (const name of built) {
      const text = readFileSync(join(outputs, name), "latin1");
      expect(forbidden.filter((word) => word.length > 3 && text.includes(word)).map((word) => [name, word])).toEqual(
        [],
      );
    }
  });

  test("was made from the sources that lie beside it; if not: bun run build:wasm", () => {
    const sources = ["Cargo.lock", "Cargo.toml", "build-wasm.sh", ...rustFiles()].sort();
    const lines = sources.map((path) => `${sha256(join(crate, path))}  ${path}\n`);
    expect(readFileSync(join(outputs, "sources.sha256"), "utf8")).toBe(lines.join(""));
  });

  test.skipIf(node === null)(
    `Node loads it and computes the same bytes${node ? "" : " (skipped: no node on PATH)"}`,
    () => {
      const job = join(import.meta.dir, "product-job.mjs");
      const outputOf = (runtime: string) => Bun.spawnSync([runtime, job], { stderr: "inherit" }).stdout.toString();
      expect(outputOf(node ?? "")).toBe(outputOf(process.execPath));
      expect(outputOf(process.execPath)).toMatch(/^[0-9a-f]{64}\n$/);
    },
  );
});

/** Every Rust source and manifest below the crate, as `build-wasm.sh` lists them. */
function rustFiles(): string[] {
  return [...new Bun.Glob("{src,xtask}/**/*.{rs,toml}").scanSync(crate)];
}

function sha256(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
