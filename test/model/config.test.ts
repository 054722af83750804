import { describe, expect, test } from "bun:test";
import { ModelError, type ModelErrorKind, parseConfig, ropeFrequencies } from "@safedelta/model";
import { families, fixtureConfig } from "./support.ts";

/** The problems that parseConfig finds. */
function problemsOf(config: Record<string, unknown>): readonly string[] {
  try {
    parseConfig(config);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    expect(error.kind).toBe("unsupported" satisfies ModelErrorKind);
    return error.problems;
  }
  return [];
}

function changed(family: string, changes: Record<string, unknown>): Record<string, unknown> {
  return { ...fixtureConfig(family), ...changes };
}

describe("parseConfig", () => {
  test.each(families)("%s: reads what transformers saved", (family) => {
    const config = parseConfig(fixtureConfig(family));
    expect(config).toMatchObject({ family, nLayers: 2, hiddenSize: 32, intermediateSize: 48, nHeads: 4, eosIds: [2] });
  });

  test("switches of each family", () => {
    const none = { qkv: false, o: false, gateUp: false, down: false };
    const llama3 = { kind: "llama3", factor: 4, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 32 };
    expect(parseConfig(fixtureConfig("llama"))).toMatchObject({
      biases: { qkv: true, o: true, gateUp: true, down: true },
      rope: { theta: 10000, scaling: llama3 },
      headDim: 8,
      tied: true,
      slidingWindow: null,
    });
    expect(parseConfig(fixtureConfig("mistral"))).toMatchObject({
      biases: none,
      headDim: 12,
      slidingWindow: 5,
      tied: false,
    });
    expect(parseConfig(fixtureConfig("qwen2"))).toMatchObject({
      biases: { ...none, qkv: true },
      rope: { theta: 1e6, scaling: { kind: "linear", factor: 2 } },
    });
    expect(parseConfig(fixtureConfig("qwen3"))).toMatchObject({ qkNorm: true, headDim: 16, biases: none });
    expect(parseConfig(fixtureConfig("gemma"))).toMatchObject({
      activation: "geluTanh",
      normOffset: 1,
      embeddingScale: Math.fround(Math.sqrt(32)),
      nKvHeads: 1,
      tied: true,
    });
    expect(parseConfig(fixtureConfig("phi3"))).toMatchObject({ slidingWindow: 9, rmsNormEps: 1e-5 });
  });

  test("both spellings of rotary settings mean the same", () => {
    const scaling = { rope_type: "linear", factor: 3 };
    const old = parseConfig(changed("qwen2", { rope_theta: 5e5, rope_scaling: { type: "linear", factor: 3 } }));
    const parameters = { ...scaling, rope_theta: 5e5 };
    const recent = changed("qwen2", { rope_theta: undefined, rope_scaling: undefined, rope_parameters: parameters });
    expect(parseConfig(recent)).toEqual(old);
  });

  test("absent keys take transformers' defaults", () => {
    const bare = (family: string, ...keys: string[]) =>
      parseConfig(changed(family, Object.fromEntries(keys.map((key) => [key, undefined]))));
    expect(bare("llama", "num_key_value_heads", "head_dim").nKvHeads).toBe(4);
    expect(bare("llama", "rms_norm_eps", "tie_word_embeddings")).toMatchObject({ rmsNormEps: 1e-6, tied: false });
    expect(bare("mistral", "rope_theta").rope.theta).toBe(10000);
    expect(bare("gemma", "hidden_activation", "tie_word_embeddings")).toMatchObject({
      activation: "geluTanh",
      tied: true,
    });
    const { sliding_window, ...withoutWindow } = fixtureConfig("mistral");
    expect(parseConfig(withoutWindow).slidingWindow).toBe(4096);
    expect(parseConfig({ ...withoutWindow, sliding_window: null }).slidingWindow).toBeNull();
    expect(bare("llama", "eos_token_id").eosIds).toEqual([]);
    expect(parseConfig(changed("llama", { eos_token_id: [2, 9] })).eosIds).toEqual([2, 9]);
  });

  test("every problem is listed at once, in words", () => {
    const problems = problemsOf(
      changed("llama", {
        architectures: ["LlamaForSequenceClassification"],
        quantization_config: { quant_method: "gptq" },
        rope_scaling: { rope_type: "yarn", factor: 4 },
        hidden_act: "relu",
        num_hidden_layers: "two",
        num_key_value_heads: 3,
        rms_norm_eps: -1,
        eos_token_id: "end",
      }),
    );
    for (const words of [
      "LlamaForSequenceClassification",
      "quantised",
      '"yarn"',
      '"relu"',
      'num_hidden_layers is "two"',
      "4 query heads cannot share 3",
      "rms_norm_eps is -1",
      'eos_token_id is "end"',
    ]) {
      expect(problems.filter((problem) => problem.includes(words))).toHaveLength(1);
    }
    expect(problems).toHaveLength(8);
  });

  test.each([
    ["another family", { model_type: "mamba" }, '"mamba" is not supported; llama, mistral'],
    ["a damaged count of layers", { num_hidden_layers: 1_000_000_000 }, "from 1 to 2000"],
    ["no family", { model_type: undefined }, "is not supported"],
    ["a part of each head turned", { partial_rotary_factor: 0.5 }, "partial_rotary_factor"],
    [
      "the same in the new place",
      { rope_scaling: null, rope_parameters: { rope_theta: 1, partial_rotary_factor: 0.5 } },
      "partial_rotary",
    ],
    [
      "rotary settings by layer",
      { rope_theta: undefined, rope_scaling: null, rope_parameters: { full_attention: {} } },
      "rope_theta is missing",
    ],
    [
      "two spellings that contradict each other",
      { rope_scaling: { type: "linear", factor: 2 }, rope_parameters: { rope_theta: 1, rope_type: "default" } },
      "say different things",
    ],
    ["a missing size", { hidden_size: undefined, head_dim: undefined }, "hidden_size is missing"],
    ["heads of odd size", { head_dim: 7 }, "even head_dim"],
    ["heads of broken size", { head_dim: null, hidden_size: 33 }, "head_dim is 8.25"],
    ["dynamic scaling", { rope_scaling: { type: "dynamic", factor: 2 } }, '"dynamic"'],
    ["scaling without a factor", { rope_scaling: { type: "linear" } }, "rope_scaling.factor is missing"],
    ["scaling that is no object", { rope_scaling: 4 }, "rope_scaling is 4"],
  ])("%s is refused", (_, changes, words) => {
    const problems = problemsOf(changed("llama", changes));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(words);
  });

  test("windows in some layers only are refused, a switched-off window is not", () => {
    expect(problemsOf(changed("qwen2", { use_sliding_window: true, sliding_window: 8 }))[0]).toContain(
      "slides in some",
    );
    expect(parseConfig(changed("qwen2", { use_sliding_window: false, sliding_window: 8 })).slidingWindow).toBeNull();
  });
});

describe("ropeFrequencies", () => {
  const llama3 = {
    kind: "llama3",
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositions: 8192,
  } as const;

  test("without scaling: theta^(−2i/headDim)", () => {
    const frequencies = ropeFrequencies({ theta: 10000, scaling: { kind: "none" } }, 8);
    expect([...frequencies]).toEqual([1, 0.1, 0.01, 0.001].map(Math.fround));
  });

  test("llama3 keeps short waves, stretches long ones, and goes from one to the other between", () => {
    const scaled = ropeFrequencies({ theta: 500000, scaling: llama3 }, 128);
    // Made by LlamaRotaryEmbedding of transformers 4.46.3 for Llama 3.1: two kept, three between, two stretched.
    const expected = [
      [0, 1],
      [28, 0.0032114461064338684],
      [30, 0.0013718936825171113],
      [32, 0.0005248460220173001],
      [34, 0.0001785077911335975],
      [35, 9.556212171446532e-5],
      [63, 3.068925877869333e-7],
    ];
    for (const [i, frequency] of expected) expect(scaled[i]).toBe(Math.fround(frequency));
  });
});
