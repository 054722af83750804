import { afterAll, expect, test } from "bun:test";
import { chmod, cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { scratchFolder } from "../support/pico.ts";

const scratch = await scratchFolder();
afterAll(() => scratch[Symbol.asyncDispose]());

const start = join(import.meta.dir, "..", "..", "scripts", "start.ts");

/** Root may write everywhere, but for this. */
const withoutPrivilege = process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-dac_override"] : [];
const reason = "needs setpriv to run as root";
const possible = withoutPrivilege.every((word) => word.startsWith("-") || Bun.which(word) !== null);

/** A clone without node_modules, of one local dependency, whose program says that it ran. */
async function makeClone(name: string): Promise<string> {
  const root = join(scratch.path, name);
  await cp(start, join(root, "scripts", "start.ts"));
  await Bun.write(join(root, "package.json"), '{"name": "clone", "dependencies": {"dep": "file:./dep"}}');
  await Bun.write(join(root, "dep", "package.json"), '{"name": "dep", "version": "1.0.0"}');
  await Bun.write(join(root, "program.ts"), 'console.log("ran");');
  Bun.spawnSync([process.execPath, "install"], { cwd: root });
  await rm(join(root, "node_modules"), { recursive: true });
  return root;
}

function run(root: string) {
  const words = [...withoutPrivilege, process.execPath, join(root, "scripts", "start.ts"), "program.ts"];
  const { exitCode, stdout, stderr } = Bun.spawnSync(words, { cwd: scratch.path });
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

const title = `a clone that cannot be written says so and what to do, and runs once it is installed (${reason})`;
test.if(possible)(title, async () => {
  const root = await makeClone("clone");
  await chmod(root, 0o555);
  const refused = run(root);
  expect(refused).toEqual({
    exitCode: 1,
    stdout: "",
    stderr: expect.stringMatching(/^safedelta: .*clone: cannot be written \(EACCES\), .*\n.*Copy .*\n$/),
  });
  await chmod(root, 0o755);
  expect(run(root)).toMatchObject({ exitCode: 0, stdout: "ran\n" });
  await chmod(root, 0o555);
  expect(run(root)).toEqual({ exitCode: 0, stdout: "ran\n", stderr: "" });
  await chmod(root, 0o755);
});
