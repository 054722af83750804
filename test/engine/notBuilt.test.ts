import { expect, test } from "bun:test";
import { chmod, cp } from "node:fs/promises";
import { join, resolve } from "node:path";
import { scratchFolder } from "../support/pico.ts";

const engineFolder = resolve(import.meta.dir, "../../engine");

/** What `auto` says in a copy of the engines where nothing was built, with these programs at hand. */
async function reasonThere(folder: string, programs: string): Promise<string> {
  const script = `
    import { openEngine } from "./src/index.ts";
    const { engine, reason } = await openEngine();
    console.log(engine.info.name + ": " + reason);`;
  const env = { ...process.env, PATH: programs, SAFEDELTA_NATIVE_LIB: "", SAFEDELTA_CUDA_LIB: "" };
  const child = Bun.spawn([process.execPath, "-e", script], { cwd: folder, env, stderr: "pipe" });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(err);
  return out;
}

test("where the native engine is not built, WASM is taken and one line says how to get the other", async () => {
  await using scratch = await scratchFolder();
  for (const part of ["src", "wasm"]) await cp(join(engineFolder, part), join(scratch.path, part), { recursive: true });
  const programs = join(scratch.path, "programs");
  await Bun.write(join(programs, "other"), "");
  const without = await reasonThere(scratch.path, programs);
  expect(without).toMatch(/^wasm: .*native: not built: install Rust \(cargo\), then run `bun run build:native`/);
  await Bun.write(join(programs, "cargo"), "#!/bin/sh\n");
  await chmod(join(programs, "cargo"), 0o755);
  const withCargo = await reasonThere(scratch.path, programs);
  expect(withCargo).toMatch(/^wasm: .*native: not built: run `bun run build:native`/);
  expect(withCargo.trim().split("\n")).toHaveLength(1);
});
