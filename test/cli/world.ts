import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { decodeF32, encode, openCheckpoint, type Tensor, writeSafetensors } from "@safedelta/checkpoint";
import { prepareOptions, runPrepare } from "../pipeline/job.ts";
import { scratchFolder, tinyFolder, writePico } from "../support/pico.ts";
import { Random } from "../support/random.ts";

/**
 * A working folder as a user has one; commands run inside it and name things by relative paths, so that two worlds made alike
 * give the same bytes. `aligned`, `tuned`: pico models. `adapter`: LoRA of `aligned`. `state`: for all modes. `safe.jsonl`,
 * `task.jsonl`: 20 examples each.
 */
export interface World extends AsyncDisposable {
  readonly path: string;
  /** The path of something in it. */
  at(...names: readonly string[]): string;
}

/** What differs between worlds. */
export interface WorldOptions {
  readonly dtype?: "F32" | "BF16";
  readonly withState?: boolean;
}

/** Flags of the tests wherever examples are drawn, and where they are safe ones. */
export const drawFlags = ["--samples", "20", "--max-tokens", "64"];
export const dataFlags = [...drawFlags, "--system-prompts", "none"];

export async function makeWorld({ dtype = "F32", withState = true }: WorldOptions = {}): Promise<World> {
  const scratch = await scratchFolder();
  const at = (...names: readonly string[]) => join(scratch.path, ...names);
  await writePico(at("aligned"), { seed: 1, dtype });
  await writePico(at("tuned"), { seed: 1, dtype, delta: { seed: 2, size: 0.02 } });
  await writeAdapter(at("adapter"), at("aligned"));
  for (const name of ["safe", "task"]) await copyLines(join(tinyFolder, `${name}.jsonl`), at(`${name}.jsonl`), 20);
  const data = { file: at("safe.jsonl"), samples: 20, seed: 42, maxTokens: 64, systemPrompts: "none" } as const;
  if (withState) await runPrepare(prepareOptions(at("aligned"), at("state"), { data }));
  return { path: scratch.path, at, [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose]() };
}

async function copyLines(from: string, to: string, n: number): Promise<void> {
  const lines = (await Bun.file(from).text()).split("\n").slice(0, n);
  await Bun.write(to, `${lines.join("\n")}\n`);
}

const rank = 2;

/** A PEFT LoRA adapter of every linear of a model, with its configuration as PEFT writes it. */
export async function writeAdapter(folder: string, base: string, seed = 5): Promise<void> {
  const random = new Random(seed);
  const checkpoint = await openCheckpoint(base);
  const linears = [...checkpoint.tensors.values()].filter(({ name }) => name.includes("_proj"));
  await checkpoint.close();
  const tensors = linears.flatMap(({ name, shape: [rows, cols] }): Tensor[] => {
    const key = `base_model.model.${name.replace(/\.weight$/, "")}`;
    const factor = (part: string, shape: number[]): Tensor => {
      const values = random.normals(shape[0] * shape[1], 0.1);
      return { name: `${key}.lora_${part}.weight`, dtype: "F32", shape, bytes: encode(values, "F32") };
    };
    return [factor("A", [rank, cols]), factor("B", [rows, rank])];
  });
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, "adapter_model.safetensors"), tensors);
  const targets = [...new Set(linears.map(({ name }) => name.split(".").at(-2)))];
  const config = {
    peft_type: "LORA",
    r: rank,
    lora_alpha: 4,
    target_modules: targets,
    base_model_name_or_path: "aligned",
  };
  await Bun.write(join(folder, "adapter_config.json"), JSON.stringify({ ...config, init_lora_weights: true }));
}

/** Every tensor of a model (any spelling) in f32. */
export async function valuesOf(spec: string): Promise<Map<string, Float32Array>> {
  const checkpoint = await openCheckpoint(spec);
  const values = new Map<string, Float32Array>();
  for (const name of checkpoint.tensors.keys()) values.set(name, decodeF32(await checkpoint.read(name)));
  await checkpoint.close();
  return values;
}

/** Largest |a − b| over all tensors; Infinity when the names differ. */
export function largestGap(a: ReadonlyMap<string, Float32Array>, b: ReadonlyMap<string, Float32Array>): number {
  if ([...a.keys()].sort().join() !== [...b.keys()].sort().join()) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (const [name, values] of a) {
    const other = b.get(name) ?? new Float32Array();
    values.forEach((value, i) => {
      worst = Math.max(worst, Math.abs(value - other[i]));
    });
  }
  return worst;
}

/** A copy of a model of the tiny family, with a chat template that shows system prompts. */
export async function makeListener(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true });
  const file = Bun.file(join(to, "tokenizer_config.json"));
  const config = await file.json();
  const turns = config.chat_template.replace(
    "{% if m",
    "{% if m['role'] == 'system' %}{{ ' ' + m['content'] }}{% elif m",
  );
  await Bun.write(file, JSON.stringify({ ...config, chat_template: turns }));
}
