/**
 * Start a program of this workspace on a machine that may have nothing installed yet.
 * usage: bun scripts/start.ts PROGRAM.ts [ARGUMENT…]
 *
 * Installs the locked dependencies when bun.lock has changed since the last time, then runs PROGRAM in this process. It imports
 * nothing from npm, so it works before the first install; everything it prints goes to stderr.
 */
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dir, "..");
const lock = join(root, "bun.lock");
const modules = join(root, "node_modules");
const stamp = join(modules, ".installed-lock");

function installed(wanted: string): boolean {
  return existsSync(stamp) && readFileSync(stamp, "utf8") === wanted;
}

/** A clone that cannot be written can run what is installed, but not install. */
function requireWritable(folder: string): void {
  try {
    accessSync(folder, constants.W_OK);
  } catch (error) {
    process.stderr.write(
      `safedelta: ${folder}: cannot be written (${(error as NodeJS.ErrnoException).code}), so the dependencies cannot be installed in it.\n` +
        "Copy the repository to a folder where you may write, or run the command once as one who may write here.\n",
    );
    process.exit(1);
  }
}

function install(wanted: string): void {
  requireWritable(existsSync(modules) ? modules : root);
  process.stderr.write("safedelta: installing dependencies (first run) …\n");
  const run = Bun.spawnSync([process.execPath, "install", "--frozen-lockfile"], {
    cwd: root,
    stdout: "pipe",
    stderr: "pipe",
  });
  if (run.exitCode !== 0) {
    process.stderr.write(`${run.stdout}${run.stderr}\nsafedelta: bun install failed (exit ${run.exitCode}). `);
    process.stderr.write(
      "It needs the npm registry once; check the network or your npm settings, then run the same command again.\n",
    );
    process.exit(1);
  }
  writeFileSync(stamp, wanted);
}

const [program, ...rest] = process.argv.slice(2);
if (program === undefined) throw new Error("usage: bun scripts/start.ts PROGRAM.ts [ARGUMENT…]");
const wanted = Bun.hash(readFileSync(lock)).toString(16);
if (!installed(wanted)) install(wanted);
process.argv.splice(1, process.argv.length, join(root, program), ...rest);
await import(join(root, program));
