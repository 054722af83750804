import { expect, test } from "bun:test";
import { join } from "node:path";
import { scratchFolder } from "../support/pico.ts";

const script = join(import.meta.dir, "../../bench/src/compare.ts");

function compare(...paths: string[]) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, script, ...paths]);
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
}

test("two stored runs are compared by name; other files are told in a line", async () => {
  await using scratch = await scratchFolder();
  const [old, now, other, none] = ["old", "now", "other", "none"].map((name) => join(scratch.path, `${name}.json`));
  const runOf = (leastMs: number) => ({
    engine: { name: "native", description: "a" },
    machine: { cpu: "b" },
    results: [{ name: "gemm", leastMs }],
  });
  await Bun.write(old, JSON.stringify(runOf(2)));
  await Bun.write(now, JSON.stringify(runOf(1)));
  await Bun.write(other, "{}");
  expect(compare(old, now)).toEqual({ code: 0, out: expect.stringMatching(/^gemm +2\.00 faster\n$/), err: "" });
  expect(compare(now, old).out).toMatch(/ 0\.50 SLOWER\n$/);
  expect(compare(old, other)).toMatchObject({ code: 2, err: `${other}: is no output of \`bun run bench --json\`\n` });
  expect(compare(old, none)).toMatchObject({ code: 2, err: expect.stringContaining(`${none}: ENOENT`) });
  expect(compare(old)).toMatchObject({ code: 2, err: expect.stringContaining("usage: ") });
});
