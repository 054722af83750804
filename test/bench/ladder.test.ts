import { expect, setDefaultTimeout, spyOn, test } from "bun:test";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { builtLibrary } from "@safedelta/engine";
import { measureLadder } from "../../bench/src/ladder.ts";
import { KernelEngine } from "../../engine/src/kernelEngine.ts";
import { scratchFolder } from "../support/pico.ts";

setDefaultTimeout(60_000);

test("every engine here has its rungs, the reference too, and is closed after them", async () => {
  using dispose = spyOn(KernelEngine.prototype, Symbol.dispose as never);
  const borders = new Set((await measureLadder(true, () => {})).map(({ border }) => border));
  expect(borders).toContain("contract, wasm");
  expect(borders).toContain("contract, reference");
  const kernels = [...borders].filter((name) => name.startsWith("contract, ") && !name.endsWith("reference"));
  expect(dispose).toHaveBeenCalledTimes(kernels.length);
});

const built = await builtLibrary("native");
test.skipIf(built === undefined || process.platform !== "linux")(
  `the library that SAFEDELTA_NATIVE_LIB names is measured${built ? "" : " (skipped: not built)"}`,
  async () => {
    await using scratch = await scratchFolder();
    const named = join(scratch.path, "named.so");
    await copyFile(built as string, named);
    const program = `
      const { measureLadder } = await import(${JSON.stringify(join(import.meta.dir, "../../bench/src/ladder.ts"))});
      await measureLadder(true, () => {});
      console.log(await Bun.file("/proc/self/maps").text());
    `;
    const env = { ...process.env, SAFEDELTA_NATIVE_LIB: named };
    const child = Bun.spawn([process.execPath, "-e", program], {
      cwd: join(import.meta.dir, "../../bench"),
      env,
      stdout: "pipe",
    });
    const maps = await new Response(child.stdout).text();
    expect(maps).toContain(named);
    expect(maps).not.toContain(built as string);
  },
);
