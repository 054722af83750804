import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Checkpoint,
  decodeF32,
  encode,
  openCheckpoint,
  type Tensor,
  type TensorDType,
} from "@safedelta/checkpoint";
import { layoutOf, type MlcTensor, packRows, type QuantName, quantOf } from "@safedelta/mlc";
import { parseConfig } from "@safedelta/model";
import { type ExportMlcOptions, exportMlc, planExportMlc, silent } from "@safedelta/pipeline";
import { writeAdapter } from "../cli/world.ts";
import { type PicoOptions, scratchFolder } from "../support/pico.ts";
import { libraryBytes } from "./library.ts";
import { readExport } from "./readExport.ts";
import { writeChatml } from "./writeChatml.ts";

setDefaultTimeout(120_000); // tens of MiB are written

let scratch: Awaited<ReturnType<typeof scratchFolder>>;
beforeAll(async () => {
  scratch = await scratchFolder();
});
afterAll(() => scratch[Symbol.asyncDispose]());

let nFolders = 0;
const fresh = () => join(scratch.path, `folder-${nFolders++}`);

/** A pico model whose chat template is ChatML. */
const model = (options: PicoOptions, template?: string) => writeChatml(fresh(), options, template);

function asked(spec: string, quant: QuantName, more: Partial<ExportMlcOptions> = {}): ExportMlcOptions {
  return { model: spec, out: fresh(), quant, offline: true, overwrite: false, ...more };
}

/** The values that an export of a layout tensor stands for: the model's, stacked. */
async function stacked(checkpoint: Checkpoint, { sources, plus }: MlcTensor): Promise<Float32Array> {
  const parts = await Promise.all(sources.map(async (name) => [...decodeF32(await checkpoint.read(name))]));
  return Float32Array.from(parts.flat(), (value) => value + plus);
}

async function eachTensor(spec: string, check: (tensor: MlcTensor, values: Float32Array) => void): Promise<number> {
  const checkpoint = await openCheckpoint(spec);
  const layout = layoutOf(parseConfig(checkpoint.config));
  for (const tensor of layout) check(tensor, await stacked(checkpoint, tensor));
  await checkpoint.close();
  return layout.length;
}

const asBytes = (values: Float32Array, dtype: TensorDType) => Buffer.from(encode(values, dtype)).toString("hex");
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

const families = {
  llama: {},
  mistral: { tie_word_embeddings: false, sliding_window: 16 },
  qwen2: {},
  qwen3: { attention_bias: true, tie_word_embeddings: false },
  gemma: { hidden_activation: "gelu_pytorch_tanh", hidden_act: undefined },
};

describe("exportMlc", () => {
  for (const [family, more] of Object.entries(families))
    test(`${family}, as it is: every tensor comes back, stacked`, async () => {
      const names = { llama: "Llama", mistral: "Mistral", qwen2: "Qwen2", qwen3: "Qwen3", gemma: "Gemma" };
      const architectures = [`${names[family as keyof typeof names]}ForCausalLM`];
      const spec = await model({ seed: 3, config: { ...more, model_type: family, architectures } });
      const options = asked(spec, "q0f32");
      await exportMlc(options, silent);
      const found = await readExport(options.out);
      const n = await eachTensor(spec, ({ module, kind, shape }, values) => {
        const record = found.get(`${module}.${kind}`);
        expect(record).toMatchObject({ shape, dtype: "float32", format: "raw" });
        expect(hex(record?.bytes ?? new Uint8Array())).toBe(asBytes(values, "F32"));
      });
      expect(found.size).toBe(n);
    });

  for (const [quant, scaleType] of [
    ["q4f32_1", "F32"],
    ["q4f16_1", "F16"],
  ] as const)
    test(`${quant}: words and scales of the stacked rows, norms plain`, async () => {
      const spec = await model({ seed: 4 });
      const options = asked(spec, quant);
      const facts = await exportMlc(options, silent);
      const found = await readExport(options.out);
      expect(found.size).toBe(facts.nTensors);
      await eachTensor(spec, ({ module, shape }, exact) => {
        const values = scaleType === "F16" ? new Float32Array(new Float16Array(exact)) : exact;
        if (shape.length === 1)
          return expect(hex(found.get(`${module}.weight`)?.bytes ?? new Uint8Array())).toBe(asBytes(values, scaleType));
        const { words, scales } = packRows(values, shape[0], shape[1], quantOf(quant).dtype);
        expect(hex(found.get(`${module}.q_weight`)?.bytes ?? new Uint8Array())).toBe(hex(new Uint8Array(words.buffer)));
        expect(hex(found.get(`${module}.q_scale`)?.bytes ?? new Uint8Array())).toBe(asBytes(scales, scaleType));
      });
    });

  test("a bf16 model as q0f32 takes two bytes a weight and loses nothing", async () => {
    const spec = await model({ seed: 5, dtype: "BF16" });
    const options = asked(spec, "q0f32");
    const facts = await exportMlc(options, silent);
    expect(facts.bitsPerWeight).toBe(16);
    const found = await readExport(options.out);
    await eachTensor(spec, ({ module, kind }, values) => {
      const record = found.get(`${module}.${kind}`);
      expect(record?.format).toBe("f32-to-bf16");
      expect(hex(record?.bytes ?? new Uint8Array())).toBe(asBytes(values, "BF16"));
    });
  });

  test("a matrix of several blocks, larger than a shard", async () => {
    const spec = await model({ seed: 6, config: { vocab_size: 400_000 } });
    const options = asked(spec, "q0f32");
    const facts = await exportMlc(options, silent);
    expect(facts.nShards).toBe(2);
    const found = await readExport(options.out);
    const checkpoint = await openCheckpoint(spec);
    const table = await checkpoint.read("model.embed_tokens.weight");
    await checkpoint.close();
    expect(Bun.hash(found.get("model.embed_tokens.weight")?.bytes ?? "")).toBe(Bun.hash(table.bytes));
    const q4 = asked(spec, "q4f32_1");
    await exportMlc(q4, silent);
    const packed = packRows(decodeF32(table), 400_000, 24, "float32");
    const words = (await readExport(q4.out)).get("model.embed_tokens.q_weight");
    expect(Bun.hash(words?.bytes ?? "")).toBe(Bun.hash(packed.words.buffer));
  });

  test("an adapter is merged first", async () => {
    const base = await model({ seed: 7 });
    const adapter = fresh();
    await writeAdapter(adapter, base);
    const options = asked(`${base}+${adapter}`, "q0f32");
    await exportMlc(options, silent);
    const found = await readExport(options.out);
    let changed = 0;
    const plain = await openCheckpoint(base);
    for (const tensor of layoutOf(parseConfig(plain.config))) {
      const bytes = hex(found.get(`${tensor.module}.weight`)?.bytes ?? new Uint8Array());
      if (bytes !== asBytes(await stacked(plain, tensor), "F32")) changed++;
    }
    await plain.close();
    expect(changed).toBeGreaterThan(0);
    await eachTensor(options.model, ({ module }, values) =>
      expect(hex(found.get(`${module}.weight`)?.bytes ?? new Uint8Array())).toBe(asBytes(values, "F32")),
    );
  });

  test("the files beside the weights", async () => {
    const spec = await model({ seed: 8 });
    await writeFile(join(spec, "LICENSE"), "free");
    const options = asked(spec, "q4f16_1");
    const facts = await exportMlc(options, silent);
    const names = await readdir(options.out);
    expect(names.sort()).toEqual(
      [
        ...["LICENSE", "mlc-chat-config.json", "ndarray-cache.json", "params_shard_0.bin", "tensor-cache.json"],
        ...["tokenizer.json", "tokenizer_config.json", "web-llm.json"],
      ].sort(),
    );
    const read = (name: string) => readFile(join(options.out, name), "utf8");
    expect(await read("ndarray-cache.json")).toBe(await read("tensor-cache.json"));
    expect(await read("tokenizer.json")).toBe(await readFile(join(spec, "tokenizer.json"), "utf8"));
    const record = JSON.parse(await read("web-llm.json"));
    expect(record).toEqual(JSON.parse(JSON.stringify(facts.record)));
    expect(record).toMatchObject({
      model: "./",
      required_features: ["shader-f16"],
      overrides: { context_window_size: 64 },
    });
    expect(record.model_id).toEndWith("-q4f16_1");
    expect(record).not.toHaveProperty("model_lib");
    expect(JSON.parse(await read("mlc-chat-config.json"))).toMatchObject({
      model_type: "llama",
      quantization: "q4f16_1",
      vocab_size: 202,
      context_window_size: 64,
      sliding_window_size: -1,
      prefill_chunk_size: 64,
      tokenizer_files: ["tokenizer.json", "tokenizer_config.json"],
      conv_template: { name: "chatml", stop_token_ids: [2] },
    });
  });

  test("a sliding window stands in place of the context", async () => {
    const config = { ...families.mistral, model_type: "mistral", architectures: ["MistralForCausalLM"] };
    const options = asked(await model({ seed: 9, config }), "q0f16");
    const { record } = await exportMlc(options, silent);
    expect(record.overrides).toEqual({});
    const chat = await Bun.file(join(options.out, "mlc-chat-config.json")).json();
    expect(chat).toMatchObject({ context_window_size: -1, sliding_window_size: 16, attention_sink_size: 4 });
  });
});

describe("a library", () => {
  const params = async (spec: string) => {
    const plan = asked(spec, "q4f32_1");
    await exportMlc(plan, silent);
    return [...(await readExport(plan.out))].map(([name, { shape, dtype }]) => ({ name, shape, dtype }));
  };

  test("that fits lies beside the model, and its chunk counts", async () => {
    const spec = await model({ seed: 10 });
    const metadata = {
      model_type: "llama",
      quantization: "q4f32_1",
      params: await params(spec),
      prefill_chunk_size: 32,
    };
    const library = join(scratch.path, "pico.wasm");
    await writeFile(library, libraryBytes({ ...metadata, kv_cache: { num_hidden_layers: 2, head_dim: 8 } }));
    const options = asked(spec, "q4f32_1", { library });
    const facts = await exportMlc(options, silent);
    expect(facts).toMatchObject({ library: "given", record: { model_lib: "./pico.wasm" } });
    expect(await readFile(join(options.out, "pico.wasm"))).toEqual(await readFile(library));
    expect(await Bun.file(join(options.out, "mlc-chat-config.json")).json()).toMatchObject({ prefill_chunk_size: 32 });
  });

  test("of another model is refused with every difference, before anything is written", async () => {
    const spec = await model({ seed: 11 });
    const wanted = (await params(spec)).slice(1).map((param, i) => (i === 0 ? { ...param, dtype: "float16" } : param));
    const library = join(scratch.path, "other.wasm");
    const kv_cache = { num_hidden_layers: 2, num_attention_heads: 9 };
    await writeFile(library, libraryBytes({ model_type: "llama", quantization: "q4f32_1", params: wanted, kv_cache }));
    const options = asked(spec, "q4f32_1", { library });
    const refused = exportMlc(options, silent);
    await expect(refused).rejects.toMatchObject({ kind: "incompatible" });
    const message = await refused.catch((error: Error) => error.message);
    expect(message).toContain("num_attention_heads: the library has 9, the export 3.");
    expect(message).toContain("model.embed_tokens.q_scale, dtype: the library has float16, the export float32.");
    expect(message).toContain("model.embed_tokens.q_weight: the export has it, the library does not ask for it.");
    expect(existsSync(options.out)).toBe(false);
  });

  test("that is none, or is not there, is refused", async () => {
    const spec = await model({ seed: 12 });
    const text = join(scratch.path, "text.wasm");
    await writeFile(text, "not wasm");
    await expect(planExportMlc(asked(spec, "q0f32", { library: text }), silent)).rejects.toThrow("is no WebAssembly");
    for (const library of [join(scratch.path, "absent.wasm"), join(spec, "config.json")])
      await expect(planExportMlc(asked(spec, "q0f32", { library }), silent)).rejects.toMatchObject({ kind: "usage" });
  });
});

describe("what cannot be exported", () => {
  test("an unknown chat template", async () => {
    const refused = planExportMlc(asked(await model({ seed: 13 }, "{{ messages[0]['content'] }}"), "q0f32"), silent);
    await expect(refused).rejects.toMatchObject({ kind: "incompatible" });
    await expect(refused).rejects.toThrow("The chat template is none that web-llm can be told");
  });

  const planted = (value: number) => (tensors: Map<string, Tensor>) => {
    const name = "model.layers.1.mlp.down_proj.weight";
    const tensor = tensors.get(name);
    if (!tensor) throw new Error("no such tensor");
    const values = decodeF32(tensor);
    values[100] = value;
    tensors.set(name, { ...tensor, bytes: encode(values, "F32") });
  };

  for (const [what, value, message] of [
    ["a weight that f16 cannot hold", 70000, "model.layers.1.mlp.down_proj.weight holds 70000"],
    ["a weight that is no number", Number.NaN, "holds NaN or infinity"],
  ] as const)
    test(`${what}; nothing of the export stays`, async () => {
      const options = asked(await model({ seed: 14, change: planted(value) }), "q4f16_1");
      await expect(exportMlc(options, silent)).rejects.toThrow(message);
      expect(existsSync(options.out)).toBe(false);
    });
});

describe("the output folder", () => {
  test("a former export is replaced only when asked, and whole", async () => {
    const options = asked(await model({ seed: 15 }), "q0f32");
    await exportMlc(options, silent);
    await writeFile(join(options.out, "params_shard_7.bin"), "of a larger model");
    await expect(exportMlc(options, silent)).rejects.toThrow("holds an export already. Add --overwrite");
    await exportMlc({ ...options, quant: "q4f32_1", overwrite: true }, silent);
    expect(existsSync(join(options.out, "params_shard_7.bin"))).toBe(false);
    expect((await readExport(options.out)).has("model.embed_tokens.q_weight")).toBe(true);
  });

  test("anything else is never replaced, the model's own folder among it", async () => {
    const spec = await model({ seed: 16 });
    const own = asked(spec, "q0f32", { out: spec, overwrite: true });
    await expect(exportMlc(own, silent)).rejects.toMatchObject({ kind: "usage" });
    const other = fresh();
    await mkdir(other);
    await writeFile(join(other, "letter.txt"), "dear");
    const options = asked(spec, "q0f32", { out: other, overwrite: true });
    await expect(exportMlc(options, silent)).rejects.toThrow("holds letter.txt, which is no part of an export");
    expect(await readdir(other)).toEqual(["letter.txt"]);
  });

  test("a plan writes nothing, and says what the export will be", async () => {
    const spec = await model({ seed: 17 });
    const options = asked(spec, "q4f32_1");
    const plan = await planExportMlc(options, silent);
    expect(existsSync(options.out)).toBe(false);
    expect(await exportMlc(options, silent)).toEqual(plan);
    const { size } = await stat(join(options.out, "params_shard_0.bin"));
    expect(size).toBe(plan.bytes);
  });

  test("the same bytes each time", async () => {
    const spec = await model({ seed: 18 });
    const [a, b] = [asked(spec, "q4f16_1"), asked(spec, "q4f16_1")];
    await exportMlc(a, silent);
    await exportMlc(b, silent);
    for (const name of await readdir(a.out))
      expect(await readFile(join(a.out, name))).toEqual(await readFile(join(b.out, name)));
  });
});
