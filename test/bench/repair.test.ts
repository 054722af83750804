import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";

setDefaultTimeout(60_000);

test("one linear is repaired in each mode without the peer", async () => {
  const words = ["--engine", "wasm", "--size", "96", "--rounds", "1", "--alone", "--json"];
  const script = join(import.meta.dir, "../../bench/src/repair.ts");
  const child = Bun.spawn([process.execPath, script, ...words], { stdout: "pipe" });
  const { results, peers } = JSON.parse(await new Response(child.stdout).text());
  expect(results.map(({ mode }: { mode: string }) => mode)).toEqual([
    "optimal",
    "adapter",
    "cholesky",
    "exact",
    "reference",
  ]);
  expect(results.every(({ repairMs }: { repairMs: number }) => repairMs > 0)).toBe(true);
  expect(peers).toEqual([]);
});
