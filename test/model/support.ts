import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Checkpoint, decodeF32, openCheckpoint, openSafetensors } from "@safedelta/checkpoint";
import { type Engine, openEngine } from "@safedelta/engine";
import { type Model, openModel } from "@safedelta/model";

/** Pico models of every family; how they were made stands in make_expected.py. */
export const families = ["llama", "mistral", "qwen2", "qwen3", "gemma", "phi3"] as const;

/** Engines that every forward pass is tested with. */
export const engineNames = ["reference", "wasm"] as const;

export function fixture(...parts: string[]): string {
  return join(import.meta.dir, "fixtures", ...parts);
}

/** config.json of a family's pico model. */
export function fixtureConfig(family: string): Record<string, unknown> {
  return JSON.parse(readFileSync(fixture(family, "config.json"), "utf8"));
}

/** Prompts and what transformers computed for them. */
export interface Expected {
  readonly prompts: readonly { readonly ids: number[]; readonly logits: Float32Array }[];
  /** Rows of token ids by name. */
  readonly answers: ReadonlyMap<string, number[][]>;
}

/** Read a file of expected values made by make_expected.py. */
export async function readExpected(path: string): Promise<Expected> {
  const file = await openSafetensors(path);
  const ints = async (name: string) => [...new Int32Array((await file.read(name)).bytes.slice().buffer)];
  const prompts = [];
  for (let i = 0; file.tensors.has(`ids.${i}`); i++) {
    prompts.push({ ids: await ints(`ids.${i}`), logits: decodeF32(await file.read(`logits.${i}`)) });
  }
  const answers = new Map<string, number[][]>();
  for (const { name, shape } of file.tensors.values()) {
    if (name.startsWith("answers.")) answers.set(name.slice(8), rowsOf(await ints(name), shape[1]));
  }
  await file.close();
  return { prompts, answers };
}

/** Rows of `width` ids, each without the −1 that fill it up. */
function rowsOf(ids: readonly number[], width: number): number[][] {
  return Array.from({ length: ids.length / width }, (_, i) =>
    ids.slice(i * width, (i + 1) * width).filter((id) => id >= 0),
  );
}

export interface Opened extends Disposable {
  readonly engine: Engine;
  readonly model: Model;
}

/** Open the model of a folder on an engine of its own. */
export async function openOn(engineName: (typeof engineNames)[number], folder: string): Promise<Opened> {
  using owned = new DisposableStack();
  const engine = owned.use((await openEngine(engineName)).engine);
  const model = await withCheckpoint(folder, (checkpoint) => openModel(engine, checkpoint));
  owned.use(model);
  const kept = owned.move();
  return { engine, model, [Symbol.dispose]: () => kept.dispose() };
}

/** What `use` makes of the checkpoint in a folder, which is closed afterwards. */
export async function withCheckpoint<T>(folder: string, use: (checkpoint: Checkpoint) => Promise<T>): Promise<T> {
  const checkpoint = await openCheckpoint(folder);
  try {
    return await use(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

/** The largest difference of two equally long lists of numbers. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`${a.length} numbers against ${b.length}`);
  // NaN must not hide: Math.max keeps it.
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
}

/** The folder of the shared real files, or null where it is absent. */
export async function sharedFolder(...parts: string[]): Promise<string | null> {
  const shared = process.env.SAFEDELTA_SHARED ?? join(import.meta.dir, "../../../shared");
  const folder = join(shared, ...parts);
  const found = await readFile(join(folder, "README.md")).then(
    () => true,
    () => false,
  );
  return found ? folder : null;
}

/** Bytes that an engine would hold if it stored f32: the reference engine keeps f64. */
export function f32Bytes(engine: Engine): number {
  return engine.info.name === "reference" ? engine.bytesInUse / 2 : engine.bytesInUse;
}
