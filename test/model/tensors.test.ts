import { describe, expect, test } from "bun:test";
import { CheckpointError, type TensorInfo } from "@safedelta/checkpoint";
import { openEngine } from "@safedelta/engine";
import {
  checkTensors,
  embed,
  expectedTensors,
  groups,
  groupsOfLayer,
  layerBytes,
  linearNames,
  loadLayer,
  ModelError,
  openModel,
  parseConfig,
} from "@safedelta/model";
import { f32Bytes, families, fixture, fixtureConfig, withCheckpoint } from "./support.ts";

async function fixtureTensors(family: string): Promise<Map<string, TensorInfo>> {
  return withCheckpoint(fixture(family), async ({ tensors }) => new Map(tensors));
}

describe("groups", () => {
  test("linears that share an input, with their shapes", () => {
    const config = parseConfig(fixtureConfig("mistral"));
    const attention = "model.layers.1.self_attn";
    expect(groupsOfLayer(config, 1)).toEqual([
      {
        name: "qkv",
        linears: [
          { name: `${attention}.q_proj.weight`, rows: 48, cols: 32 },
          { name: `${attention}.k_proj.weight`, rows: 24, cols: 32 },
          { name: `${attention}.v_proj.weight`, rows: 24, cols: 32 },
        ],
        cols: 32,
      },
      { name: "o", linears: [{ name: `${attention}.o_proj.weight`, rows: 32, cols: 48 }], cols: 48 },
      {
        name: "gateUp",
        linears: [
          { name: "model.layers.1.mlp.gate_proj.weight", rows: 48, cols: 32 },
          { name: "model.layers.1.mlp.up_proj.weight", rows: 48, cols: 32 },
        ],
        cols: 32,
      },
      { name: "down", linears: [{ name: "model.layers.1.mlp.down_proj.weight", rows: 32, cols: 48 }], cols: 48 },
    ]);
  });

  test("phi3 has fused linears", () => {
    const config = parseConfig(fixtureConfig("phi3"));
    expect(linearNames(config, 0)).toEqual([
      "model.layers.0.self_attn.qkv_proj.weight",
      "model.layers.0.self_attn.o_proj.weight",
      "model.layers.0.mlp.gate_up_proj.weight",
      "model.layers.0.mlp.down_proj.weight",
    ]);
    expect(groupsOfLayer(config, 0).map(({ linears }) => linears[0].rows)).toEqual([64, 32, 96, 32]);
  });

  test.each(families)("%s: templates and names agree", (family) => {
    const config = parseConfig(fixtureConfig(family));
    const filled = groups(config).map(({ name, linears, cols }) => ({
      name,
      names: linears.map((template) => template.replace("{layer}", "1")),
      cols,
    }));
    const listed = groupsOfLayer(config, 1).map(({ name, linears, cols }) => ({
      name,
      names: linears.map((linear) => linear.name),
      cols,
    }));
    expect(filled).toEqual(listed);
    expect(linearNames(config, 1)).toEqual(listed.flatMap(({ names }) => names));
  });
});

describe("checkTensors", () => {
  test.each(families)("%s: what transformers saved fits", async (family) => {
    const config = parseConfig(fixtureConfig(family));
    expect(checkTensors(config, await fixtureTensors(family))).toEqual([]);
  });

  test.each(families)("%s: each needed tensor is missed", async (family) => {
    const config = parseConfig(fixtureConfig(family));
    const tensors = await fixtureTensors(family);
    const needed = [...expectedTensors(config)].filter(([, { optional }]) => !optional).map(([name]) => name);
    expect(needed.sort()).toEqual([...tensors.keys()].sort());
    for (const name of needed) {
      const rest = new Map(tensors);
      rest.delete(name);
      const problems = checkTensors(config, rest);
      expect(problems).toHaveLength(1);
      expect(problems[0]).toContain(`${name} [`);
    }
  });

  test("a tied head and stored frequencies may be there", async () => {
    const config = parseConfig(fixtureConfig("llama"));
    const tensors = await fixtureTensors("llama");
    const frequencies = "model.layers.0.self_attn.rotary_emb.inv_freq";
    tensors.set("lm_head.weight", { name: "lm_head.weight", dtype: "BF16", shape: [40, 32] });
    tensors.set(frequencies, { name: frequencies, dtype: "F32", shape: [4] });
    expect(checkTensors(config, tensors)).toEqual([]);
  });

  test("all problems at once: missing, other shape, integers, stranger", async () => {
    const config = parseConfig(fixtureConfig("qwen2"));
    const tensors = await fixtureTensors("qwen2");
    tensors.delete("model.norm.weight");
    const bias = "model.layers.0.self_attn.q_proj.bias";
    tensors.set(bias, { name: bias, dtype: "BF16", shape: [31] });
    const down = "model.layers.1.mlp.down_proj.weight";
    tensors.set(down, { name: down, dtype: "I8", shape: [32, 48] });
    const stranger = "model.layers.2.mlp.down_proj.weight";
    tensors.set(stranger, { name: stranger, dtype: "BF16", shape: [32, 48] });
    expect(checkTensors(config, tensors)).toEqual([
      `Tensor ${bias} has shape [31]; config.json asks for [32].`,
      `Tensor ${down} holds I8; weights must be floating-point numbers.`,
      "Tensor model.norm.weight [32] is missing.",
      `Tensor ${stranger} does not belong to a qwen2 model of this config.json.`,
    ]);
  });

  test("a model whose tensors do not fit is not opened", async () => {
    const { engine } = await openEngine("reference");
    const opening = withCheckpoint(fixture("qwen2"), (checkpoint) =>
      openModel(engine, { ...checkpoint, config: { ...checkpoint.config, intermediate_size: 47 } }),
    );
    const error = await opening.catch((caught) => caught);
    expect(error).toBeInstanceOf(ModelError);
    expect(error).toMatchObject({ kind: "incompatible" });
    expect(error.problems).toHaveLength(6);
    expect(engine.bytesInUse).toBe(0);
  });
});

describe("loadLayer", () => {
  test.each(families)("%s: takes layerBytes and gives them back", async (family) => {
    const { engine } = await openEngine("reference");
    const config = parseConfig(fixtureConfig(family));
    const weights = await withCheckpoint(fixture(family), (checkpoint) => loadLayer(engine, checkpoint, config, 1));
    expect(f32Bytes(engine)).toBe(layerBytes(config));
    weights[Symbol.dispose]();
    expect(engine.bytesInUse).toBe(0);
  });

  test("a number that is not finite is found, and nothing stays in memory", async () => {
    const { engine } = await openEngine("reference");
    const config = parseConfig(fixtureConfig("llama"));
    const loading = withCheckpoint(fixture("llama"), (checkpoint) => {
      const read = async (name: string) => {
        const tensor = await checkpoint.read(name);
        // The last linear of the layer gets a bf16 infinity.
        return name.includes("down_proj.weight")
          ? { ...tensor, bytes: tensor.bytes.map((b, i) => (i < 2 ? [128, 127][i] : b)) }
          : tensor;
      };
      return loadLayer(engine, { ...checkpoint, read }, config, 0);
    });
    expect(await loading.catch((caught) => caught)).toBeInstanceOf(CheckpointError);
    expect(engine.bytesInUse).toBe(0);
  });
});

describe("embed", () => {
  test.each(["llama", "gemma"])("%s: rows of the table times the scale, whatever their order", async (family) => {
    const { engine } = await openEngine("reference");
    const config = parseConfig(fixtureConfig(family));
    const ids = [39, 3, 4, 5, 3, 0, 38, 39];
    const rows = await withCheckpoint(fixture(family), async (checkpoint) => {
      const many = engine.read(await embed(engine, checkpoint, config, ids));
      const single = await Promise.all(ids.map((id) => embed(engine, checkpoint, config, [id])));
      return { many, single: single.flatMap((row) => [...engine.read(row)]) };
    });
    expect([...rows.many]).toEqual(rows.single);
    expect(rows.many.subarray(0, 32)).toEqual(rows.many.subarray(7 * 32));
  });

  test.each([[40], [-1], [0.5]])("refuses the id %p", async (id) => {
    const { engine } = await openEngine("reference");
    const config = parseConfig(fixtureConfig("llama"));
    const embedding = withCheckpoint(fixture("llama"), (checkpoint) => embed(engine, checkpoint, config, [1, id]));
    expect(embedding).rejects.toThrow(`Token id ${id} is not in the model's vocabulary of 40`);
  });
});
