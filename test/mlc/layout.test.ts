import { describe, expect, test } from "bun:test";
import type { TensorDType, TensorInfo } from "@safedelta/checkpoint";
import { layoutOf, MlcError, planMlcShards, planTensor, prebuiltLibrary, quantOf, webLlm } from "@safedelta/mlc";
import { parseConfig } from "@safedelta/model";

const sizes = {
  num_hidden_layers: 1,
  hidden_size: 24,
  intermediate_size: 40,
  num_attention_heads: 3,
  num_key_value_heads: 1,
  head_dim: 8,
  vocab_size: 50,
  max_position_embeddings: 64,
  tie_word_embeddings: true,
};

const configOf = (model_type: string, more: object = {}) => parseConfig({ ...sizes, model_type, ...more });
const namesOf = (model_type: string, more: object = {}) =>
  layoutOf(configOf(model_type, more)).map(({ module, kind, shape }) => `${module}.${kind} ${shape}`);

describe("layoutOf", () => {
  const layer = "model.layers.0.";
  const rest = [
    `${layer}mlp.gate_up_proj.weight 80,24`,
    `${layer}mlp.down_proj.weight 24,40`,
    `${layer}input_layernorm.weight 24`,
    `${layer}post_attention_layernorm.weight 24`,
    "model.norm.weight 24",
  ];
  const embedding = "model.embed_tokens.weight 50,24";
  const output = `${layer}self_attn.o_proj.weight 24,24`;

  test("Llama, Mistral (untied) and Gemma have qkv_proj", () => {
    const llama = [embedding, `${layer}self_attn.qkv_proj.weight 40,24`, output, ...rest];
    expect(namesOf("llama")).toEqual(llama);
    const head = { tie_word_embeddings: false, sliding_window: null };
    expect(namesOf("mistral", head)).toEqual([...llama, "lm_head.weight 50,24"]);
    expect(namesOf("gemma")).toEqual(llama);
  });

  test("Qwen2 has c_attn with a bias, Qwen3 norms of q and k", () => {
    const fused = `${layer}self_attn.c_attn.weight 40,24`;
    expect(namesOf("qwen2")).toEqual([embedding, fused, `${layer}self_attn.c_attn.bias 40`, output, ...rest]);
    const norms = [`${layer}self_attn.q_norm.weight 8`, `${layer}self_attn.k_norm.weight 8`];
    expect(namesOf("qwen3")).toEqual([embedding, fused, output, ...norms, ...rest]);
  });

  test("rows are q, k, v and gate, up; Gemma's norms are one more", () => {
    const tensors = layoutOf(configOf("gemma"));
    const sources = (module: string) => tensors.find((tensor) => tensor.module === `${layer}${module}`)?.sources;
    const projections = ["q_proj", "k_proj", "v_proj"].map((name) => `${layer}self_attn.${name}.weight`);
    expect(sources("self_attn.qkv_proj")).toEqual(projections);
    expect(sources("mlp.gate_up_proj")).toEqual([`${layer}mlp.gate_proj.weight`, `${layer}mlp.up_proj.weight`]);
    expect(tensors.map(({ shape, plus }) => shape.length === 1 && plus === 1)).toEqual(
      tensors.map(({ shape }) => shape.length === 1),
    );
  });

  test("what MLC has no room for is refused, all at once", () => {
    const odd = { attention_bias: true, rope_scaling: { type: "linear", factor: 2 } };
    expect(() => layoutOf(configOf("llama", odd))).toThrow(
      "MLC's llama has no room for linear rope scaling.\nMLC's llama has no room for a bias on qkv.\nMLC's llama has no room for a bias on o.",
    );
    expect(() => layoutOf(configOf("phi3"))).toThrow("phi3 models are not exported.");
    expect(() => layoutOf(configOf("mistral"))).toThrow("a tied head");
  });
});

describe("planTensor", () => {
  const [table, fused] = layoutOf(configOf("llama"));
  const info = (name: string, dtype: TensorDType): [string, TensorInfo] => [name, { name, dtype, shape: [1] }];
  const files = new Map(fused.sources.map((name) => info(name, "BF16")));

  test("f32 goes as bf16 only where the files hold bf16", () => {
    expect(planTensor(fused, quantOf("q0f32"), files).records).toEqual([
      { name: `${fused.module}.weight`, shape: [40, 24], dtype: "float32", format: "f32-to-bf16", nbytes: 1920 },
    ]);
    const mixed = new Map([...files, info(fused.sources[1], "F32")]);
    expect(planTensor(fused, quantOf("q0f32"), mixed).records[0]).toMatchObject({ format: "raw", nbytes: 3840 });
    expect(planTensor(fused, quantOf("q0f16"), files).records[0]).toMatchObject({ format: "raw", nbytes: 1920 });
  });

  test("matrices become words and scales, norms stay", () => {
    const { records } = planTensor(table, quantOf("q4f16_1"), files);
    expect(records).toEqual([
      { name: "model.embed_tokens.q_weight", shape: [50, 4], dtype: "uint32", format: "raw", nbytes: 800 },
      { name: "model.embed_tokens.q_scale", shape: [50, 1], dtype: "float16", format: "raw", nbytes: 100 },
    ]);
    const norm = layoutOf(configOf("llama")).at(-1);
    expect(norm && planTensor(norm, quantOf("q4f32_1"), files).records).toMatchObject([
      { name: "model.norm.weight", shape: [24], dtype: "float32", nbytes: 96 },
    ]);
  });
});

describe("planMlcShards", () => {
  const record = (name: string, nbytes: number) => ({
    name,
    shape: [nbytes / 4],
    dtype: "float32" as const,
    format: "raw" as const,
    nbytes,
  });

  test("fills files, and lets a large one go alone", () => {
    const wanted = [
      record("a", 40),
      record("b", 40),
      record("big", 200),
      record("c", 20),
      record("half", 52),
      record("d", 49),
    ];
    const shards = planMlcShards([...wanted, record("e", 40)], 100);
    const told = shards.map(({ dataPath, nbytes, records }) => [
      dataPath,
      nbytes,
      records.map(({ name, byteOffset }) => `${name}@${byteOffset}`).join(" "),
    ]);
    expect(told).toEqual([
      ["params_shard_0.bin", 200, "big@0"],
      ["params_shard_1.bin", 52, "half@0"],
      ["params_shard_2.bin", 100, "a@0 b@40 c@80"],
      ["params_shard_3.bin", 89, "d@0 e@49"],
    ]);
  });

  test("refuses a name that occurs twice", () => {
    expect(() => planMlcShards([record("a", 4), record("a", 4)])).toThrow(MlcError);
  });
});

describe("prebuiltLibrary", () => {
  const smol = {
    num_hidden_layers: 30,
    hidden_size: 576,
    intermediate_size: 1536,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    vocab_size: 49152,
    rope_theta: 100000,
    rms_norm_eps: 1e-5,
    head_dim: 64,
    max_position_embeddings: 8192,
  };

  test("is that of the pinned version for a model of its numbers, and none for another", () => {
    const url = `${webLlm.libraryPrefix}${webLlm.libraryFolder}/SmolLM2-135M-Instruct-q0f32_cs1k-webgpu.wasm`;
    expect(prebuiltLibrary(configOf("llama", smol), "q0f32")).toBe(url);
    expect(prebuiltLibrary(configOf("llama", smol), "q4f32_1")).toBeUndefined();
    for (const other of [{ rope_theta: 10000 }, { rms_norm_eps: 1e-6 }, { vocab_size: 49153 }])
      expect(prebuiltLibrary(configOf("llama", { ...smol, ...other }), "q0f32")).toBeUndefined();
  });
});
