import { cp, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { encode, type Tensor, writeSafetensors } from "@safedelta/checkpoint";
import { expectedTensors, parseConfig } from "@safedelta/model";
import { Random } from "./random.ts";

/** Tokenizer files of the demo's tiny model, which the pico models share. */
export const tinyFolder = join(import.meta.dir, "..", "..", "cli", "demo");

const config = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 24,
  intermediate_size: 40,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  num_key_value_heads: 1,
  head_dim: 8,
  vocab_size: 202,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: true,
  hidden_act: "silu",
  eos_token_id: 2,
};

/** What may differ between two pico models. */
export interface PicoOptions {
  readonly seed: number;
  readonly dtype?: "F32" | "BF16" | "F16";
  /** Added to every weight of the linears: the fine-tuning. */
  readonly delta?: { readonly seed: number; readonly size: number };
  readonly config?: Readonly<Record<string, unknown>>;
  /** Changes tensors before they are written. */
  readonly change?: (tensors: Map<string, Tensor>) => void;
}

/** Write a random two-layer Llama with the tiny model's tokenizer. */
export async function writePico(folder: string, options: PicoOptions): Promise<string> {
  const full = { ...config, ...options.config };
  const dtype = options.dtype ?? "F32";
  const tensors = new Map<string, Tensor>();
  const random = new Random(options.seed);
  const change = new Random(options.delta?.seed ?? 0);
  for (const [name, { shape, optional }] of expectedTensors(parseConfig(full))) {
    if (optional) continue;
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 0.3 * random.normal());
    if (shape.length === 1) values.fill(1);
    const linear = name.includes("_proj");
    if (options.delta && linear)
      for (let i = 0; i < values.length; i++) values[i] += options.delta.size * change.normal();
    tensors.set(name, { name, dtype, shape, bytes: encode(values, dtype) });
  }
  options.change?.(tensors);
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, "model.safetensors"), [...tensors.values()], { format: "pt" });
  await Bun.write(join(folder, "config.json"), JSON.stringify(full));
  for (const file of ["tokenizer.json", "tokenizer_config.json", "generation_config.json"]) {
    await cp(join(tinyFolder, "aligned", file), join(folder, file));
  }
  return folder;
}

/** A folder for one test, removed with it. */
export async function scratchFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "safedelta-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Every file below a folder with the hash of its bytes. */
export async function folderHashes(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const pairs = files.map(
    async (file) => [relative(folder, file), Bun.hash(await readFile(file)).toString(16)] as const,
  );
  return Object.fromEntries(await Promise.all(pairs));
}
