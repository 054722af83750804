import { existsSync } from "node:fs";
import { cp, mkdir, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { scratchFolder } from "../support/pico.ts";

const root = resolve(import.meta.dir, "../..");
const sources = join(root, "engine/cuda");

/** Why the stand-ins cannot be built here; undefined where they can. */
export const missing =
  process.platform !== "linux" || process.arch !== "x64"
    ? "the stand-ins switch stacks as Linux on x86-64 does"
    : Bun.which("g++") === null
      ? "no g++"
      : undefined;

/** Compiler flags of the builds that tests run. */
export const flags = {
  plain: "-O1",
  sanitised: "-O1 -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined",
} as const;
export type Kind = keyof typeof flags;

/** One replacement of a text that a file holds once. */
export interface Change {
  /** Below engine/cuda. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** The CUDA engine and its stand-ins, built from the sources as they are. Kept until these change. */
export async function built(kind: Kind): Promise<string> {
  const folder = join(root, ".cache/cuda", `${kind}-${await sourceHash()}`);
  if (!existsSync(folder)) await build(folder, sources, kind);
  return folder;
}

/** The same from changed sources, in a folder of the caller's. */
export async function builtWith(change: Change, kind: Kind, folder: string): Promise<string> {
  const copy = join(folder, "engine", "cuda");
  for (const part of ["cuda", "include"]) {
    await cp(join(root, "engine", part), join(folder, "engine", part), { recursive: true });
  }
  const path = join(copy, change.file);
  const text = await Bun.file(path).text();
  if (text.split(change.from).length !== 2) throw new Error(`${change.file} does not hold once: ${change.from}`);
  await Bun.write(
    path,
    text.replace(change.from, () => change.to),
  );
  const out = join(folder, "libraries");
  await build(out, copy, kind);
  return out;
}

async function build(folder: string, from: string, kind: Kind): Promise<void> {
  await using scratch = await scratchFolder();
  const out = join(scratch.path, "out");
  const env = { ...process.env, SAFEDELTA_CUDA_FLAGS: flags[kind], SAFEDELTA_CUDA_OUT: out };
  await Promise.all([
    run(["bash", join(from, "build.sh")], env),
    run(["bash", join(from, "stand-in/build.sh"), out], env),
  ]);
  await mkdir(join(folder, ".."), { recursive: true });
  await rm(folder, { recursive: true, force: true });
  await rename(out, folder).catch(() => cp(out, folder, { recursive: true }));
}

async function run(command: string[], env: Record<string, string | undefined>): Promise<void> {
  const child = Bun.spawn(command, { env, stdout: "ignore", stderr: "pipe" });
  const [text, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (code !== 0) throw new Error(`${command.join(" ")}: exit ${code}\n${text}`);
}

async function sourceHash(): Promise<string> {
  const files = await Array.fromAsync(new Bun.Glob("{cuda,include}/**/*").scan({ cwd: join(root, "engine") }));
  const hasher = new Bun.CryptoHasher("sha256");
  for (const file of files.sort()) hasher.update(`${file}\n${await Bun.file(join(root, "engine", file)).text()}\n`);
  return hasher.digest("hex").slice(0, 16);
}
