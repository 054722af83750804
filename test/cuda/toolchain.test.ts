import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { scratchFolder } from "../support/pico.ts";

const root = resolve(import.meta.dir, "../..");
const toolkit = join(root, ".cuda/nvidia/cu13");
const cublas = join(toolkit, "lib/libcublas.so.13");
const ptx = join(root, "engine/cuda/kernels.ptx");

const why = (present: boolean, flag = "") =>
  present ? "" : ` (skipped: bash engine/cuda/fetch-toolchain.sh${flag} has not been run)`;
const withCompiler = existsSync(join(toolkit, "bin/nvcc"));
const withCublas = existsSync(cublas);

/** Every architecture that ptxas of CUDA 13.0 knows from ours on. */
const targets = ["80", "86", "87", "88", "89", "90", "100", "103", "110", "120", "121"];

function run(command: string[]): { exitCode: number; text: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd: root });
  return { exitCode, text: stdout.toString() + stderr.toString() };
}

describe.skipIf(!withCompiler)(`with NVIDIA's compiler${why(withCompiler)}`, () => {
  test("the committed PTX is what the kernels compile to", async () => {
    await using scratch = await scratchFolder();
    const fresh = join(scratch.path, "kernels.ptx");
    expect(run(["bash", "engine/cuda/build-ptx.sh", fresh])).toEqual({ exitCode: 0, text: "" });
    expect((await Bun.file(fresh).text()) === (await Bun.file(ptx).text())).toBe(true);
  });

  test.each(targets)("every kernel fits sm_%s without spilling a register", (target) => {
    const command = [
      join(toolkit, "bin/ptxas"),
      "-Werror",
      "-warn-spills",
      `-arch=sm_${target}`,
      ptx,
      "-o",
      "/dev/null",
    ];
    expect(run(command)).toEqual({ exitCode: 0, text: "" });
  });
});

describe.skipIf(!withCublas)(`with the real cuBLAS${why(withCublas, " --cublas")}`, () => {
  test("our prototypes and numbers are those of NVIDIA's headers", () => {
    const flags = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", join(toolkit, "include")];
    expect(run(["g++", ...flags, "test/cuda/headers.cpp"])).toEqual({ exitCode: 0, text: "" });
  });

  test("it has every function that we look up", async () => {
    const header = await Bun.file(join(root, "engine/cuda/src/driver.h")).text();
    const wanted = [...header.matchAll(/^ +F\((cublas\w+),/gm)].map(([, name]) => name);
    const exported = new Set(
      [...run(["nm", "-D", "--defined-only", cublas]).text.matchAll(/ T (\w+)/g)].map(([, name]) => name),
    );
    expect(wanted.length).toBeGreaterThan(5);
    expect(wanted.filter((name) => !exported.has(name))).toEqual([]);
  });

  test("it loads without a driver and tells its version", async () => {
    const { dlopen } = await import("bun:ffi");
    const { symbols } = dlopen(cublas, { cublasGetVersion_v2: { args: ["ptr", "ptr"], returns: "i32" } });
    const version = new Int32Array(1);
    expect(symbols.cublasGetVersion_v2(null, version)).toBe(0);
    expect(Math.floor(version[0] / 10000)).toBe(13);
  });
});
