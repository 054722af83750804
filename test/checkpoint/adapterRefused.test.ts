import { describe, expect, test } from "bun:test";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { openCheckpoint, type Tensor, writeSafetensors } from "@safedelta/checkpoint";
import { makeAdapter, makeBase, pairOf } from "./adapters.ts";
import { failure, randomTensor, tempFolder } from "./tools.ts";

describe("adapters that are refused", () => {
  const configs: [string, object, RegExp][] = [
    ["pissa", { init_lora_weights: "pissa" }, /"pissa", which changes the base weights/],
    ["pissa_niter_16", { init_lora_weights: "pissa_niter_16" }, /changes the base weights.*path_initial_model/],
    ["olora", { init_lora_weights: "olora" }, /changes the base weights/],
    ["corda", { init_lora_weights: "corda" }, /changes the base weights/],
    ["loftq", { init_lora_weights: "loftq" }, /changes the base weights/],
    ["another kind of adapter", { peft_type: "LOHA" }, /peft_type is LOHA/],
    ["repeated layers", { layer_replication: [[0, 2]] }, /layer_replication/],
    ["adapted parameters", { target_parameters: ["x"] }, /target_parameters/],
    ["biases on B", { lora_bias: true }, /lora_bias/],
    ["another rank than configured", { r: 3 }, /configured rank 3/],
    ["a rank of zero", { r: 0 }, /r must be a number above 0/],
    ["no alpha", { lora_alpha: undefined }, /lora_alpha must be a number above 0/],
    ["a broken pattern", { rank_pattern: { "(": 2 } }, /rank_pattern must map/],
    ["a pattern that is no number", { alpha_pattern: { m: "2" } }, /alpha_pattern must map/],
    ["DoRA without magnitudes", { use_dora: true }, /lora_magnitude_vector is missing/],
  ];
  test.each(configs)("%s", async (_, config, message) => {
    await using folder = await tempFolder();
    await makeBase(join(folder.path, "base"));
    await makeAdapter(join(folder.path, "ad"), config);
    const error = await failure(() => openCheckpoint(`${folder.path}/base+${folder.path}/ad`));
    expect(error.message).toMatch(message);
    expect(error.file).toStartWith(join(folder.path, "ad"));
  });

  const [a, b] = pairOf("m");
  const files: [string, Tensor[], object, RegExp][] = [
    ["a module that the base does not have", pairOf("n"), {}, /another base than .*does not have: n\.weight/],
    ["a replacement that the base does not have", [a, b, randomTensor("n.bias", [6], 1)], {}, /does not have: n\.bias/],
    ["another shape", pairOf("m", 2, 6, 9), {}, /m\.weight is \[6,8\] there, the adapter changes \[6,9\]/],
    [
      "a replacement of another shape",
      [a, b, randomTensor("embed.weight", [11, 4], 1)],
      {},
      /embed\.weight is \[10,4\] there/,
    ],
    ["A without B", [a], {}, /module m lacks its lora_B/],
    ["B without A", [b], {}, /module m lacks its lora_A/],
    ["another kind of LoRA tensor", [a, b, randomTensor("m.lora_C.weight", [1], 1)], {}, /lora_C.weight is of a kind/],
    ["magnitudes without use_dora", [a, b, randomTensor("m.lora_magnitude_vector", [6], 1)], {}, /use_dora is false/],
    [
      "a layer that layers_to_transform leaves out",
      pairOf("layers.0.q"),
      { layers_to_transform: [1] },
      /layers_to_transform is \[1\]/,
    ],
    [
      "lm_head of a tied base",
      [a, b, randomTensor("lm_head.weight", [10, 4], 1)],
      {},
      /lm_head\.weight.* ties its output to its/,
    ],
    [
      "embeddings of a tied base as a module of its own",
      [a, b, randomTensor("model.embed_tokens.weight", [10, 4], 1)],
      { modules_to_save: ["embed_tokens"] },
      /embed_tokens\.weight.* ties its output to its/,
    ],
  ];
  test.each(files)("%s", async (_, tensors, config, message) => {
    await using folder = await tempFolder();
    await makeBase(join(folder.path, "base"), "F32", { tie_word_embeddings: true });
    await makeAdapter(join(folder.path, "ad"), config, [], tensors);
    expect((await failure(() => openCheckpoint(`${folder.path}/base+${folder.path}/ad`))).message).toMatch(message);
  });

  test("keys of another layout, a pickle, and something after the + that is no adapter", async () => {
    await using folder = await tempFolder();
    const [base, ad] = [join(folder.path, "base"), join(folder.path, "ad")];
    await makeBase(base);
    await makeAdapter(ad);
    await writeSafetensors(join(ad, "adapter_model.safetensors"), [{ ...a, name: "model.m.lora_A.weight" }]);
    expect((await failure(() => openCheckpoint(`${base}+${ad}`))).message).toContain("not a PEFT LoRA file");
    await rename(join(ad, "adapter_model.safetensors"), join(ad, "adapter_model.bin"));
    expect((await failure(() => openCheckpoint(`${base}+${ad}`))).message).toContain("pickle");
    expect((await failure(() => openCheckpoint(`${base}+${base}`))).message).toContain("not a LoRA adapter folder");
    expect((await failure(() => openCheckpoint(`${base}+${folder.path}/none`))).kind).toBe("not-found");
  });

  test("many unmatched weights are counted, the first of them named", async () => {
    await using folder = await tempFolder();
    await makeBase(join(folder.path, "base"));
    const tensors = Array.from({ length: 7 }, (_, i) => pairOf(`layers.${i + 3}.q`)).flat();
    await makeAdapter(join(folder.path, "ad"), {}, [], tensors);
    const error = await failure(() => openCheckpoint(`${folder.path}/base+${folder.path}/ad`));
    expect(error.kind).toBe("incompatible");
    expect(error.message).toMatch(/layers\.3\.q\.weight, .*layers\.7\.q\.weight, … \(7 in all\)/);
  });
});
