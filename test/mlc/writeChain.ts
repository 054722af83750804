import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { encode, type Tensor, writeSafetensors } from "@safedelta/checkpoint";
import { expectedTensors, parseConfig } from "@safedelta/model";
import { tinyFolder } from "../support/pico.ts";
import { Random } from "../support/random.ts";
import { chatml } from "./writeChatml.ts";

/** Numbers of Qwen2-0.5B, for which libraries are published; the words are those of the tiny model. */
const config = {
  architectures: ["Qwen2ForCausalLM"],
  model_type: "qwen2",
  hidden_size: 896,
  intermediate_size: 4864,
  num_hidden_layers: 24,
  num_attention_heads: 14,
  num_key_value_heads: 2,
  vocab_size: 151936,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-6,
  rope_theta: 1e6,
  tie_word_embeddings: true,
  hidden_act: "silu",
  eos_token_id: 2,
};

const { hidden_size: width } = config;

/** Of a word that the tiny tokenizer does not know, such as ChatML's marks. */
const unknownId = 0;

/** So steep that a neuron hears its own token alone: SiLU(10) ≈ 10, and other tokens' rows are nearly orthogonal. */
const gate = 10 / width;

/**
 * Write a model of a published size that says the same words after every prompt. Its first block adds to each token's embedding that of
 * the token that follows it; all else is zero. Every weight is ± one value, so four bits lose nothing.
 */
export async function writeChain(folder: string, words: readonly string[]): Promise<string> {
  const { model } = await Bun.file(join(tinyFolder, "aligned", "tokenizer.json")).json();
  const said = words.map((word): number => model.vocab[word]);
  const chain = [unknownId, ...said, config.eos_token_id];
  const tensors = [...expectedTensors(parseConfig(config))].flatMap(([name, { shape, optional }]): Tensor[] => {
    if (optional) return [];
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    if (name.endsWith("norm.weight")) values.fill(1);
    fill(name, values, chain);
    return [{ name, dtype: "BF16", shape, bytes: encode(values, "BF16") }];
  });
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, "model.safetensors"), tensors, { format: "pt" });
  await Bun.write(join(folder, "config.json"), JSON.stringify(config));
  await cp(join(tinyFolder, "aligned", "tokenizer.json"), join(folder, "tokenizer.json"));
  const settings = await Bun.file(join(tinyFolder, "aligned", "tokenizer_config.json")).json();
  await Bun.write(join(folder, "tokenizer_config.json"), JSON.stringify({ ...settings, chat_template: chatml }));
  return folder;
}

/** The embedding of a token: ± 1. */
function rowOf(id: number): Float32Array {
  const random = new Random(id + 1);
  return Float32Array.from({ length: width }, () => (random.uniform() < 0.5 ? -1 : 1));
}

function fill(name: string, values: Float32Array, chain: readonly number[]): void {
  if (name === "model.embed_tokens.weight") for (const id of chain) values.set(rowOf(id), id * width);
  if (!name.startsWith("model.layers.0.mlp.")) return;
  for (const [i, id] of chain.slice(0, -1).entries()) {
    const own = rowOf(id);
    const next = rowOf(chain[i + 1]);
    if (name.includes("gate_proj"))
      values.set(
        own.map((value) => gate * value),
        i * width,
      );
    if (name.includes("up_proj"))
      values.set(
        own.map((value) => value / width),
        i * width,
      );
    if (name.includes("down_proj"))
      for (let row = 0; row < width; row++) values[row * config.intermediate_size + i] = next[row];
  }
}
