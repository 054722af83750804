import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Checkpoint, CheckpointError, encode, openCheckpoint } from "@safedelta/checkpoint";
import fc from "fast-check";
import { type GgufTensorSpec, type GgufValue, ggml, makeGguf, tinyMetadata, tinyTensors } from "./gguf-maker.ts";
import { failure, tempFolder } from "./tools.ts";

type Changes = { metadata?: Record<string, GgufValue | undefined>; tensors?: GgufTensorSpec[]; architecture?: string };

/** Bytes of the tiny file with some keys changed (undefined removes one). */
function tinyBytes({ metadata = {}, tensors = tinyTensors(), architecture }: Changes = {}): Uint8Array {
  const all = Object.entries({ ...tinyMetadata(architecture), ...metadata });
  return makeGguf(
    Object.fromEntries(all.filter((pair): pair is [string, GgufValue] => pair[1] !== undefined)),
    tensors,
  );
}

async function withFile<T>(bytes: Uint8Array, work: (checkpoint: Checkpoint) => Promise<T>): Promise<T> {
  await using folder = await tempFolder();
  const path = join(folder.path, "tiny.gguf");
  await writeFile(path, bytes);
  const checkpoint = await openCheckpoint(path);
  try {
    return await work(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

const refusal = (bytes: Uint8Array) => failure(() => withFile(bytes, async () => undefined));
const changed = (name: string, change: Partial<GgufTensorSpec>) =>
  tinyTensors().map((tensor) => (tensor.name === name ? { ...tensor, ...change } : tensor));

async function companion(checkpoint: Checkpoint, name: string) {
  return JSON.parse(Buffer.from((await checkpoint.companions.get(name)?.bytes()) ?? []).toString());
}

describe("blocks", () => {
  /** Random blocks and their values by the gguf package; see fixtures/make_fixtures.py. */
  const path = join(import.meta.dir, "fixtures/gguf-blocks.json");
  const blocks: Record<string, { bytes: string; values: string }> = JSON.parse(readFileSync(path, "utf8"));

  test.each(Object.keys(blocks) as (keyof typeof ggml)[])(
    "%s has the bits of the reference, whole and by rows",
    async (name) => {
      const bytes = new Uint8Array(Buffer.from(blocks[name].bytes, "base64"));
      const values = new Uint8Array(Buffer.from(blocks[name].values, "base64"));
      const nValues = values.length / 4;
      const cols = name.endsWith("K") ? 256 : 32;
      const shape = [nValues / cols, cols];
      const tensors = changed("blk.0.ffn_up.weight", { type: ggml[name], shape, bytes });
      await withFile(tinyBytes({ tensors }), async (checkpoint) => {
        const weight = "model.layers.0.mlp.up_proj.weight";
        expect(await checkpoint.read(weight)).toEqual({ name: weight, dtype: "F32", shape, bytes: values });
        const last = await checkpoint.readRows(weight, shape[0] - 1, 1);
        expect(Buffer.from(last.bytes)).toEqual(Buffer.from(values.slice(-4 * cols)));
      });
    },
  );

  test.each(["F16", "BF16"] as const)("%s stays what it is", async (dtype) => {
    const bytes = encode(Float32Array.from({ length: 128 }, Math.sin), dtype);
    const tensors = changed("blk.0.ffn_up.weight", { type: ggml[dtype], bytes });
    await withFile(tinyBytes({ tensors }), async (checkpoint) => {
      const weight = await checkpoint.read("model.layers.0.mlp.up_proj.weight");
      expect([weight.dtype, Buffer.from(weight.bytes)]).toEqual([dtype, Buffer.from(bytes)]);
      expect((await checkpoint.readRows("model.norm.weight", 3, 2)).shape).toEqual([2]);
    });
  });
});

describe("a Llama file", () => {
  test("has the names, order and configuration of a Hugging Face folder", async () => {
    await withFile(tinyBytes(), async (checkpoint) => {
      const layer = "model.layers.0";
      const linears = ["down", "gate", "up"].map((part) => `${layer}.mlp.${part}_proj.weight`);
      const attention = ["k", "o", "q", "v"].map((part) => `${layer}.self_attn.${part}_proj.weight`);
      const norms = [`${layer}.input_layernorm.weight`, `${layer}.post_attention_layernorm.weight`];
      const all = ["model.embed_tokens.weight", ...linears, ...attention, ...norms, "model.norm.weight"];
      expect([...checkpoint.tensors.keys()]).toEqual(all.sort());
      expect(checkpoint.kind).toBe("gguf");
      expect(checkpoint.config).toEqual({
        architectures: ["LlamaForCausalLM"],
        model_type: "llama",
        hidden_size: 8,
        intermediate_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        vocab_size: 6,
        max_position_embeddings: 64,
        rms_norm_eps: 1e-6,
        rope_theta: 500000,
        tie_word_embeddings: true,
        hidden_act: "silu",
        attention_bias: false,
        torch_dtype: "float32",
        bos_token_id: 0,
        eos_token_id: 1,
      });
      expect(await companion(checkpoint, "config.json")).toEqual(checkpoint.config);
      expect(await companion(checkpoint, "generation_config.json")).toEqual({ bos_token_id: 0, eos_token_id: 1 });
    });
  });

  test("rows of q and k go back to Hugging Face's order, whole and in part; those of v stay", async () => {
    const tensors = tinyTensors();
    const stored = (name: string) => {
      const bytes = tensors.find((tensor) => tensor.name === name)?.bytes ?? new Uint8Array();
      return Array.from({ length: bytes.length / 32 }, (_, row) => Array.from(bytes.subarray(32 * row, 32 * row + 32)));
    };
    /** llama.cpp stores row (half, pair) of a head of 4 at (pair, half). */
    const order = [0, 2, 1, 3];
    await withFile(tinyBytes({ tensors }), async (checkpoint) => {
      const rowsOf = async (part: string, start: number, count: number) => {
        const { bytes } = await checkpoint.readRows(`model.layers.0.self_attn.${part}_proj.weight`, start, count);
        return Array.from({ length: count }, (_, row) => Array.from(bytes.subarray(32 * row, 32 * row + 32)));
      };
      const q = stored("blk.0.attn_q.weight");
      const expected = [...order.map((row) => q[row]), ...order.map((row) => q[4 + row])];
      expect(await rowsOf("q", 0, 8)).toEqual(expected);
      expect(await rowsOf("q", 3, 3)).toEqual(expected.slice(3, 6));
      expect(await rowsOf("k", 0, 4)).toEqual(order.map((row) => stored("blk.0.attn_k.weight")[row]));
      expect(await rowsOf("v", 0, 4)).toEqual(stored("blk.0.attn_v.weight"));
    });
  });

  test("an output matrix unties, and a turn's end ends answers", async () => {
    const output = { name: "output.weight", shape: [6, 8], type: ggml.F32, bytes: new Uint8Array(192) };
    const metadata = { "tokenizer.ggml.eot_token_id": 2, "llama.vocab_size": 6 };
    await withFile(tinyBytes({ metadata, tensors: [...tinyTensors(), output] }), async (checkpoint) => {
      expect(checkpoint.tensors.has("lm_head.weight")).toBe(true);
      expect(checkpoint.config.tie_word_embeddings).toBe(false);
      expect((await companion(checkpoint, "generation_config.json")).eos_token_id).toEqual([1, 2]);
    });
  });

  test("a turn's end without an end of text is the end of answers", async () => {
    const metadata = { "tokenizer.ggml.eos_token_id": undefined, "tokenizer.ggml.eot_token_id": 2 };
    await withFile(tinyBytes({ metadata }), async (checkpoint) => {
      expect((await companion(checkpoint, "generation_config.json")).eos_token_id).toBe(2);
    });
  });

  test.each([
    ["llama.rope.dimension_count", 2],
    ["llama.attention.sliding_window", 8],
    ["llama.rope.scale_linear", 2],
    ["llama.embedding_scale", 12],
    ["llama.logit_scale", 0.5],
    ["llama.attention.scale", 0.0625],
    ["llama.attention.value_length", 8],
  ])("%s = %p would change the model and is refused", async (key, value) => {
    const error = await failure(() => withFile(tinyBytes({ metadata: { [key]: value } }), async () => {}));
    expect([error.kind, error.message]).toEqual(["unsupported", expect.stringContaining(`${key} = ${value}`)]);
  });

  test("the same settings at the values that change nothing pass", async () => {
    const metadata = {
      "llama.rope.dimension_count": 4,
      "llama.attention.sliding_window": 4096,
      "llama.logit_scale": 1,
    };
    await withFile(tinyBytes({ metadata }), async ({ config }) => expect(config.model_type).toBe("llama"));
  });

  test("the rotary scaling of Llama 3 is recognised by its factors, others are refused", async () => {
    const numbers = JSON.parse(readFileSync(join(import.meta.dir, "fixtures/numbers.json"), "utf8"));
    const bytes = new Uint8Array(Buffer.from(numbers.llama3Factors, "base64"));
    const rope = { name: "rope_freqs.weight", shape: [32], type: ggml.F32, bytes };
    const metadata = { "llama.attention.key_length": 64 };
    await withFile(tinyBytes({ metadata, tensors: [...tinyTensors(), rope] }), async ({ config }) => {
      const others = { low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };
      expect(config).toMatchObject({ head_dim: 64, rope_scaling: { rope_type: "llama3", factor: 32, ...others } });
    });
    const wrong = { ...rope, bytes: bytes.with(70, 0) };
    const error = await refusal(tinyBytes({ metadata, tensors: [...tinyTensors(), wrong] }));
    expect(error.message).toContain("not those of Llama 3");
  });

  test("linear rotary scaling passes, other kinds do not", async () => {
    const linear = { "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 2 };
    await withFile(tinyBytes({ metadata: linear }), async ({ config }) => {
      expect(config.rope_scaling).toEqual({ rope_type: "linear", factor: 2 });
    });
    expect((await refusal(tinyBytes({ metadata: { "llama.rope.scaling.type": "yarn" } }))).message).toContain("yarn");
  });
});

describe("Qwen files", () => {
  test("keep the order of rows and have their biases and norms", async () => {
    const bias = { name: "blk.0.attn_q.bias", shape: [8], type: ggml.F32, bytes: new Uint8Array(32) };
    const metadata = { "tokenizer.ggml.pre": "qwen2" };
    await withFile(
      tinyBytes({ architecture: "qwen2", metadata, tensors: [...tinyTensors(), bias] }),
      async (checkpoint) => {
        expect(checkpoint.config).toMatchObject({
          model_type: "qwen2",
          architectures: ["Qwen2ForCausalLM"],
          attention_bias: true,
        });
        expect(checkpoint.tensors.has("model.layers.0.self_attn.q_proj.bias")).toBe(true);
        const q = tinyTensors().find(({ name }) => name === "blk.0.attn_q.weight");
        const { bytes } = await checkpoint.read("model.layers.0.self_attn.q_proj.weight");
        expect(Buffer.from(bytes)).toEqual(Buffer.from(q?.bytes ?? []));
      },
    );
    const norm = { name: "blk.0.attn_k_norm.weight", shape: [4], type: ggml.F32, bytes: new Uint8Array(16) };
    const sized = { "qwen3.attention.key_length": 4, "tokenizer.ggml.pre": "qwen2" };
    await withFile(
      tinyBytes({ architecture: "qwen3", metadata: sized, tensors: [...tinyTensors(), norm] }),
      async (checkpoint) => {
        expect(checkpoint.config).toMatchObject({ model_type: "qwen3", head_dim: 4 });
        expect(checkpoint.tensors.has("model.layers.0.self_attn.k_norm.weight")).toBe(true);
      },
    );
  });
});

describe("the tokenizer", () => {
  test("has vocabulary, merges and added tokens; the template goes along", async () => {
    const metadata = { "tokenizer.chat_template": "{{ x }}", "tokenizer.ggml.unknown_token_id": 0 };
    await withFile(tinyBytes({ metadata }), async (checkpoint) => {
      const { added_tokens, model, pre_tokenizer, post_processor } = await companion(checkpoint, "tokenizer.json");
      expect(added_tokens.map(({ id, content, special }: Record<string, unknown>) => [id, content, special])).toEqual([
        [0, "<s>", true],
        [1, "</s>", true],
        [2, "<user>", false],
      ]);
      expect(model).toMatchObject({ type: "BPE", merges: [["a", "b"]], ignore_merges: false });
      expect(model.vocab).toEqual({ "<s>": 0, "</s>": 1, "<user>": 2, a: 3, b: 4, ab: 5 });
      expect(pre_tokenizer.pretokenizers[0]).toEqual({ type: "Digits", individual_digits: true });
      expect(post_processor).toBeNull();
      expect(await companion(checkpoint, "tokenizer_config.json")).toEqual({
        tokenizer_class: "PreTrainedTokenizerFast",
        bos_token: "<s>",
        eos_token: "</s>",
        unk_token: "<s>",
        chat_template: "{{ x }}",
        clean_up_tokenization_spaces: false,
        model_max_length: 64,
      });
    });
  });

  test("puts the start token in front when the file says so", async () => {
    await withFile(tinyBytes({ metadata: { "tokenizer.ggml.add_bos_token": true } }), async (checkpoint) => {
      const { post_processor } = await companion(checkpoint, "tokenizer.json");
      expect(post_processor.single[0]).toEqual({ SpecialToken: { id: "<s>", type_id: 0 } });
      expect(post_processor.special_tokens["<s>"].ids).toEqual([0]);
    });
  });

  test.each([
    ["llama-bpe", "\\p{N}{1,3}", true],
    ["qwen2", "|\\p{N}|", false],
  ])("%s splits digits by %s", async (pre, digits, ignoreMerges) => {
    await withFile(tinyBytes({ metadata: { "tokenizer.ggml.pre": pre } }), async (checkpoint) => {
      const { pre_tokenizer, model } = await companion(checkpoint, "tokenizer.json");
      expect(pre_tokenizer.pretokenizers[0].pattern.Regex).toContain(digits);
      expect(model.ignore_merges).toBe(ignoreMerges);
    });
  });
});

describe("refused", () => {
  const extra = (name: string) => [...tinyTensors(), { name, shape: [8], type: ggml.F32, bytes: new Uint8Array(32) }];
  const cases: [string, Changes, RegExp][] = [
    ["another family", { architecture: "gemma2" }, /architecture gemma2 is not read here, only llama, qwen2, qwen3/],
    ["a family named like a method", { architecture: "toString" }, /architecture toString/],
    ["experts", { metadata: { "llama.expert_count": 8 } }, /mixtures of experts/],
    ["a part of a split file", { metadata: { "split.count": 3 } }, /split GGUF/],
    ["an unknown tensor", { tensors: extra("blk.0.ffn_gate_exps.weight") }, /ffn_gate_exps/],
    ["a tensor named like a method", { tensors: extra("blk.0.toString.weight") }, /toString/],
    ["a tensor twice", { tensors: extra("output_norm.weight") }, /name occurs twice/],
    ["biases of permuted rows", { tensors: extra("blk.0.attn_q.bias") }, /attn_q.bias: biases/],
    [
      "rows that do not divide into heads",
      { metadata: { "llama.attention.head_count_kv": 3 } },
      /does not divide into 3 heads/,
    ],
    ["another storage type", { tensors: changed("blk.0.ffn_up.weight", { type: ggml.IQ4_NL }) }, /stored as IQ4_NL/],
    [
      "a storage type that does not exist",
      { tensors: changed("blk.0.ffn_up.weight", { type: 99 }) },
      /stored as type 99/,
    ],
    [
      "rows that are not whole blocks",
      { tensors: changed("blk.0.ffn_up.weight", { type: ggml.Q8_0 }) },
      /not whole blocks of 32/,
    ],
    ["SentencePiece", { metadata: { "tokenizer.ggml.model": "llama" } }, /tokenizer is of kind llama/],
    [
      "an unknown pre-tokeniser",
      { metadata: { "tokenizer.ggml.pre": "dolphin" } },
      /pre-tokeniser dolphin is not known/,
    ],
    ["no pre-tokeniser", { metadata: { "tokenizer.ggml.pre": undefined } }, /pre-tokeniser \(none given\)/],
    ["a missing key", { metadata: { "llama.block_count": undefined } }, /llama.block_count is missing/],
    ["a key of another type", { metadata: { "llama.block_count": "one" } }, /llama.block_count does not hold a number/],
  ];
  test.each(cases)("%s", async (_, changes, message) => {
    const error = await refusal(tinyBytes(changes));
    expect(error.message).toMatch(message);
    expect(error.file).toEndWith("tiny.gguf");
  });

  test("no GGUF, another version, and counts that cannot be", async () => {
    expect((await refusal(new Uint8Array(3))).message).toContain("does not begin with GGUF");
    expect((await refusal(new TextEncoder().encode("x".repeat(40)))).message).toContain("does not begin with GGUF");
    const version = tinyBytes().with(4, 1);
    expect((await refusal(version)).message).toContain("version 1");
    for (const at of [8, 16]) expect((await refusal(tinyBytes().with(at + 5, 1))).message).toContain("more than fit");
  });

  test("a file cut anywhere", async () => {
    const whole = tinyBytes();
    const cut = fc.integer({ min: 0, max: whole.length - 33 });
    const check = async (length: number) =>
      expect(await refusal(whole.subarray(0, length))).toBeInstanceOf(CheckpointError);
    await fc.assert(fc.asyncProperty(cut, check), { numRuns: 40, seed: 7 });
  });

  test("random changes of the header open or fail with a typed error", async () => {
    const whole = tinyBytes();
    const changes = fc.array(fc.tuple(fc.integer({ min: 4, max: 1400 }), fc.nat(255)), { minLength: 1, maxLength: 3 });
    const check = async (list: [number, number][]) => {
      const bytes = whole.slice();
      for (const [at, value] of list) bytes[at] = value;
      try {
        await withFile(bytes, async () => undefined);
      } catch (error) {
        expect(error).toBeInstanceOf(CheckpointError);
      }
    };
    await fc.assert(fc.asyncProperty(changes, check), { numRuns: 60, seed: 8 });
  }, 300_000);
});
