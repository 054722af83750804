import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { built, missing } from "./build.ts";
import { surroundings } from "./run.ts";

setDefaultTimeout(300_000); // the libraries are built first

test.skipIf(missing !== undefined)(
  "the ladder measures the library on its stand-ins, raw and by contract",
  async () => {
    const program = `
    const { measureLadder } = await import("./src/ladder.ts");
    const rungs = await measureLadder(true, () => {});
    console.log(JSON.stringify(rungs.filter(({ border }) => border.endsWith("cuda"))));`;
    const child = Bun.spawn([process.execPath, "-e", program], {
      cwd: join(import.meta.dir, "../../bench"),
      env: { ...process.env, ...surroundings(await built("plain")) },
    });
    const rungs: { border: string; rung: string; medianNs: number }[] = JSON.parse(
      await new Response(child.stdout).text(),
    );
    const of = (name: string) => rungs.filter(({ border }) => border === name).map(({ rung }) => rung);
    expect(of("bun:ffi, cuda")).toEqual(expect.arrayContaining(["no arguments", "a text out", "gemm 8 x 8"]));
    expect(of("contract, cuda")).toContain("gemm 8 x 8");
    expect(rungs.every(({ medianNs }) => medianNs > 0)).toBe(true);
  },
);
