import { expect, test } from "bun:test";
import { expectedTensors, parseConfig } from "@safedelta/model";
import { devicesHere, planParts, roofline } from "@safedelta/pipeline";

/** Llama-2-7B's config.json, as far as it decides sizes. */
const llama7b = parseConfig({
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 4096,
  intermediate_size: 11008,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 32,
  vocab_size: 32000,
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
  hidden_act: "silu",
  tie_word_embeddings: false,
});
const tensors = new Map(
  [...expectedTensors(llama7b)]
    .filter(([, { optional }]) => !optional)
    .map(([name, { shape }]) => [name, { name, shape, dtype: "F16" as const }]),
);

test("the work of Llama-2-7B is what its shapes give", () => {
  const [a100] = devicesHere(2);
  const stages = roofline(a100, llama7b, tensors, 128 * 512, planParts(llama7b, ["reference"], "cuda"));
  const of = (stage: string) => stages.find((one) => one.stage === stage);
  // 6.476e9 weights in linears; four groups a layer, three of 4096 and one of 11008 inputs
  expect(of("forward pass")?.flop).toBeCloseTo(2 * 6476005376 * 65536, -6);
  expect(of("Hessians")?.flop).toBe(65536 * 32 * (3 * 4096 ** 2 + 11008 ** 2));
  expect(of("factors for reference")?.flop).toBeCloseTo((2 / 3) * 32 * (3 * 4096 ** 3 + 11008 ** 3), -6);
  expect(of("read the model")?.bytes).toBe(2 * 6738415616);
  expect(stages.every(({ seconds }) => seconds > 0 && Number.isFinite(seconds))).toBe(true);
});

test("a faster device takes no stage longer", () => {
  const [a100, h100] = devicesHere(2).map((device) =>
    roofline(device, llama7b, tensors, 65536, planParts(llama7b, ["reference", "optimal"], device.engine)),
  );
  for (const [i, { seconds }] of h100.entries()) expect(seconds).toBeLessThanOrEqual(a100[i].seconds);
});
