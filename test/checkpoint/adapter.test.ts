import { describe, expect, test } from "bun:test";
import { cp, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Checkpoint,
  decodeF32,
  encode,
  openAdapter,
  openCheckpoint,
  openSafetensors,
  type Tensor,
  type TensorDType,
  writeAdapter,
  writeSafetensors,
} from "@safedelta/checkpoint";
import { failure, randomTensor, sharedFolder, tempFolder } from "./tools.ts";

const fixtures = join(import.meta.dir, "fixtures/peft");
const plainConfig = { peft_type: "LORA", r: 2, lora_alpha: 3 };

/** A base with one 6 x 8 weight `m.weight`, a bias, an embedding and a transposed layer. */
async function makeBase(folder: string, dtype: TensorDType = "F32", config: object = {}): Promise<Tensor[]> {
  const tensors = [
    randomTensor("m.weight", [6, 8], 1, dtype),
    randomTensor("m.bias", [6], 2, dtype),
    randomTensor("embed.weight", [10, 4], 3, dtype),
    randomTensor("layers.0.q.weight", [6, 8], 4, dtype),
  ];
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, "model.safetensors"), tensors);
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  return tensors;
}

/** An adapter of `m`: A [r, cols] and B [rows, r], under PEFT's keys, and further tensors as they are. */
async function makeAdapter(
  folder: string,
  config: object = {},
  further: Tensor[] = [],
  factors = pairOf("m"),
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const tensors = [...factors, ...further].map((tensor) => ({ ...tensor, name: `base_model.model.${tensor.name}` }));
  await writeSafetensors(join(folder, "adapter_model.safetensors"), tensors);
  await writeFile(join(folder, "adapter_config.json"), JSON.stringify({ ...plainConfig, ...config }));
}

function pairOf(module: string, r = 2, rows = 6, cols = 8, dtype: TensorDType = "F16"): Tensor[] {
  return [
    randomTensor(`${module}.lora_A.weight`, [r, cols], 11, dtype),
    randomTensor(`${module}.lora_B.weight`, [rows, r], 12, dtype),
  ];
}

/** scale · B·A in f64, rows x cols. */
function product([a, b]: Tensor[], scale: number): number[][] {
  const [av, bv] = [decodeF32(a), decodeF32(b)];
  const [[r, cols], [rows]] = [a.shape, b.shape];
  const at = (i: number, j: number) => {
    let sum = 0;
    for (let k = 0; k < r; k++) sum += bv[i * r + k] * av[k * cols + j];
    return scale * sum;
  };
  return Array.from({ length: rows }, (_, i) => Array.from({ length: cols }, (_, j) => at(i, j)));
}

const flipped = (m: number[][]) => m[0].map((_, j) => m.map((row) => row[j]));
const plus = (w: Tensor, delta: number[][]) => {
  const flat = delta.flat();
  return Array.from(decodeF32(w), (x, i) => x + flat[i]);
};

/** The merged tensor must be the f64 values rounded once to the tensor's type. */
async function expectRounded(checkpoint: Checkpoint, name: string, values: number[]): Promise<void> {
  const tensor = await checkpoint.read(name);
  expect(tensor.dtype).toBe(checkpoint.tensors.get(name)?.dtype as TensorDType);
  expect(tensor.bytes).toEqual(encode(Float32Array.from(values), tensor.dtype));
}

async function expectClose(checkpoint: Checkpoint, name: string, values: number[]): Promise<void> {
  const merged = decodeF32(await checkpoint.read(name));
  const worst = merged.reduce((worst, x, i) => Math.max(worst, Math.abs(x - values[i])), 0);
  expect(worst).toBeLessThan(2 ** -22 * Math.max(...values.map(Math.abs)));
}

describe("merges by PEFT itself", () => {
  const variants = ["plain", "rslora", "patterns", "dora", "saved", "biases", "lora-biases", "embedding", "layers"];
  test.each(variants)("%s: every tensor equals merge_and_unload to f32 rounding", async (variant) => {
    const checkpoint = await openCheckpoint(`${fixtures}/base+${fixtures}/${variant}`);
    const expected = await openSafetensors(join(fixtures, variant, "merged.safetensors"));
    const base = await openCheckpoint(join(fixtures, "base"));
    let nChanged = 0;
    for (const name of expected.tensors.keys()) {
      await expectClose(checkpoint, name, Array.from(decodeF32(await expected.read(name))));
      const before = (await base.read(name)).bytes;
      if (!Buffer.from(before).equals((await checkpoint.read(name)).bytes)) nChanged++;
      else expect((await expected.read(name)).bytes).toEqual(before);
    }
    expect(nChanged).toBeGreaterThan(0);
    expect(checkpoint.tensors.size).toBe(expected.tensors.size);
    for (const open of [checkpoint, expected, base]) await open.close();
  });
});

describe("merges against the formula in f64", () => {
  const cases: [string, object, number][] = [
    ["alpha/r", {}, 3 / 2],
    ["a fractional alpha", { lora_alpha: 0.3 }, 0.15],
    ["alpha/√r with use_rslora", { use_rslora: true }, 3 / Math.SQRT2],
    ["rank_pattern by the end of the name", { r: 7, rank_pattern: { m: 2 } }, 3 / 2],
    ["rank_pattern by an expression", { r: 7, rank_pattern: { "[a-m]": 2 } }, 3 / 2],
    ["alpha_pattern", { alpha_pattern: { m: 8 } }, 4],
    ["patterns of other modules", { rank_pattern: { x: 9, mm: 9 }, alpha_pattern: { "m.x": 9 } }, 3 / 2],
    ["an initialisation that keeps the base", { init_lora_weights: "gaussian" }, 3 / 2],
    ["eva, which keeps the base too", { init_lora_weights: "eva" }, 3 / 2],
  ];
  test.each(cases)("%s", async (_, config, scale) => {
    await using folder = await tempFolder();
    const [m, bias] = await makeBase(join(folder.path, "base"));
    await makeAdapter(join(folder.path, "ad"), config);
    const checkpoint = await openCheckpoint(`${folder.path}/base+${folder.path}/ad`);
    await expectRounded(checkpoint, "m.weight", plus(m, product(pairOf("m"), scale)));
    expect(await checkpoint.read("m.bias")).toEqual(bias);
    expect(checkpoint.adapter?.pairs.get("m.weight")).toMatchObject({ rank: 2, scale });
    await checkpoint.close();
  });

  test.each(["BF16", "F16", "F64"] as const)("a %s base gets its own type, rounded once", async (dtype) => {
    await using folder = await tempFolder();
    const [m] = await makeBase(join(folder.path, "base"), dtype);
    await makeAdapter(join(folder.path, "ad"), {}, [], pairOf("m", 2, 6, 8, "BF16"));
    const checkpoint = await openCheckpoint(`${folder.path}/base+${folder.path}/ad`);
    await expectRounded(checkpoint, "m.weight", plus(m, product(pairOf("m", 2, 6, 8, "BF16"), 1.5)));
    await checkpoint.close();
  });

  test("sizes around the unrolled ranks and the column block", async () => {
    for (const [r, rows, cols] of [
      [1, 3, 1],
      [4, 2, 1023],
      [5, 2, 1024],
      [7, 2, 1025],
      [16, 1, 2050],
    ]) {
      await using folder = await tempFolder();
      const m = randomTensor("m.weight", [rows, cols], 9);
      const base = join(folder.path, "base");
      await makeBase(base);
      await writeSafetensors(join(base, "model.safetensors"), [m]);
      const factors = pairOf("m", r, rows, cols, "F32");
      await makeAdapter(join(folder.path, "ad"), { r, lora_alpha: 2 }, [], factors);
      const checkpoint = await openCheckpoint(`${base}+${folder.path}/ad`);
      await expectClose(checkpoint, "m.weight", plus(m, product(factors, 2 / r)));
      await checkpoint.close();
    }
  });

  test("fan_in_fan_out adds the transpose", async () => {
    await using folder = await tempFolder();
    const [m] = await makeBase(join(folder.path, "base"));
    const factors = pairOf("m", 2, 8, 6);
    await makeAdapter(join(folder.path, "ad"), { fan_in_fan_out: true }, [], factors);
    const checkpoint = await openCheckpoint(`${folder.path}/base+${folder.path}/ad`);
    await expectRounded(checkpoint, "m.weight", plus(m, flipped(product(factors, 1.5))));
    await checkpoint.close();
  });

  test.each([false, true])("DoRA scales outputs to their magnitude, fan_in_fan_out %p", async (transposed) => {
    await using folder = await tempFolder();
    const [m] = await makeBase(join(folder.path, "base"));
    const [nOut, nIn] = transposed ? [8, 6] : [6, 8];
    const factors = pairOf("m", 2, nOut, nIn);
    const magnitude = randomTensor("m.lora_magnitude_vector", [nOut], 21);
    await makeAdapter(join(folder.path, "ad"), { use_dora: true, fan_in_fan_out: transposed }, [magnitude], factors);
    const delta = product(factors, 1.5);
    const v = plus(m, transposed ? flipped(delta) : delta);
    const outputOf = (i: number) => (transposed ? i % 8 : Math.floor(i / 8));
    const norms = new Float64Array(nOut);
    for (const [i, x] of v.entries()) norms[outputOf(i)] += x * x;
    const magnitudes = decodeF32(magnitude);
    const checkpoint = await openCheckpoint(`${folder.path}/base+${folder.path}/ad`);
    const expected = v.map((x, i) => (magnitudes[outputOf(i)] * x) / Math.sqrt(norms[outputOf(i)]));
    await expectClose(checkpoint, "m.weight", expected);
    await checkpoint.close();
  });

  test("rows of a merged weight are rows of the whole, in every variant", async () => {
    await using folder = await tempFolder();
    await makeBase(join(folder.path, "base"));
    const variants: [string, object, Tensor[], Tensor[]][] = [
      ["plain", {}, [], pairOf("m")],
      ["transposed", { fan_in_fan_out: true }, [], pairOf("m", 2, 8, 6)],
      ["dora", { use_dora: true }, [randomTensor("m.lora_magnitude_vector", [6], 1)], pairOf("m")],
      [
        "flipped-dora",
        { use_dora: true, fan_in_fan_out: true },
        [randomTensor("m.lora_magnitude_vector", [8], 1)],
        pairOf("m", 2, 8, 6),
      ],
      ["replaced", {}, [randomTensor("layers.0.q.weight", [6, 8], 5)], pairOf("m")],
    ];
    for (const [name, config, further, factors] of variants) {
      await makeAdapter(join(folder.path, name), config, further, factors);
      const checkpoint = await openCheckpoint(`${folder.path}/base+${folder.path}/${name}`);
      for (const weight of ["m.weight", "layers.0.q.weight", "m.bias"]) {
        const whole = await checkpoint.read(weight);
        const rowBytes = whole.bytes.length / 6;
        const rows = await checkpoint.readRows(weight, 2, 3);
        expect(rows.shape).toEqual([3, ...whole.shape.slice(1)]);
        expect(Buffer.from(rows.bytes)).toEqual(Buffer.from(whole.bytes.slice(2 * rowBytes, 5 * rowBytes)));
      }
      await checkpoint.close();
    }
  });

  test("a chain merges one after the other, rounded in between; the outermost adapter is the checkpoint's", async () => {
    await using folder = await tempFolder();
    const [m] = await makeBase(join(folder.path, "base"), "BF16");
    await makeAdapter(join(folder.path, "one"));
    await makeAdapter(join(folder.path, "two"), { lora_alpha: 8 });
    const checkpoint = await openCheckpoint(`${folder.path}/base+${folder.path}/one+${folder.path}/two`);
    const first = encode(Float32Array.from(plus(m, product(pairOf("m"), 1.5))), "BF16");
    await expectRounded(checkpoint, "m.weight", plus({ ...m, bytes: first }, product(pairOf("m"), 4)));
    expect([checkpoint.kind, checkpoint.adapter?.folder]).toEqual(["adapted", join(folder.path, "two")]);
    await checkpoint.close();
  });

  test("a replacement takes the base's type", async () => {
    await using folder = await tempFolder();
    await makeBase(join(folder.path, "base"), "BF16");
    const bias = randomTensor("m.bias", [6], 33);
    await makeAdapter(join(folder.path, "ad"), {}, [bias]);
    const checkpoint = await openCheckpoint(`${folder.path}/base+${folder.path}/ad`);
    await expectRounded(checkpoint, "m.bias", Array.from(decodeF32(bias)));
    expect([...(checkpoint.adapter?.otherTensors.keys() ?? [])]).toEqual(["m.bias"]);
    await checkpoint.close();
  });
});

describe("a bare adapter", () => {
  test("opens over the base it is given, and leaves that open", async () => {
    await using folder = await tempFolder();
    const [m] = await makeBase(join(folder.path, "base"));
    await makeAdapter(join(folder.path, "ad"));
    const base = await openCheckpoint(join(folder.path, "base"));
    const checkpoint = await openCheckpoint(join(folder.path, "ad"), { base });
    await expectRounded(checkpoint, "m.weight", plus(m, product(pairOf("m"), 1.5)));
    await checkpoint.close();
    expect(await base.read("m.weight")).toEqual(m);
    await base.close();
  });

  test("without a base says what to write", async () => {
    const error = await failure(() => openCheckpoint(join(fixtures, "plain")));
    expect(error.message).toContain(`write BASE+${join(fixtures, "plain")}`);
  });

  test("brings its tokenizer, all files of it, or keeps the base's", async () => {
    await using folder = await tempFolder();
    await makeBase(join(folder.path, "base"));
    await makeAdapter(join(folder.path, "ad"));
    const put = (name: string) => writeFile(join(folder.path, name), name);
    for (const name of ["base/tokenizer.json", "base/chat_template.jinja", "base/LICENSE", "ad/chat_template.jinja"])
      await put(name);
    const texts = async () => {
      const checkpoint = await openCheckpoint(`${folder.path}/base+${folder.path}/ad`);
      await checkpoint.close();
      const pairs = [...checkpoint.companions].filter(([name]) => name !== "config.json");
      return Promise.all(pairs.map(async ([, file]) => Buffer.from(await file.bytes()).toString()));
    };
    expect(await texts()).toEqual(["base/LICENSE", "base/chat_template.jinja", "base/tokenizer.json"]);
    await put("ad/tokenizer.json");
    expect(await texts()).toEqual(["base/LICENSE", "ad/chat_template.jinja", "ad/tokenizer.json"]);
  });
});

describe("refused", () => {
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

describe("readPair and writeAdapter", () => {
  test("the factors of a weight are its stored values", async () => {
    const adapter = await openAdapter(join(fixtures, "patterns"));
    const weight = "model.layers.1.self_attn.q_proj.weight";
    const { a, b, ...sizes } = await adapter.readPair(weight);
    expect(sizes).toEqual({ r: 1, rows: 8, cols: 8, scale: 3 });
    const stored = await adapter.read("base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight");
    expect(a).toEqual(decodeF32(stored));
    expect(b.length).toBe(8);
    expect((await failure(() => adapter.readPair("other.weight"))).kind).toBe("missing");
    await adapter.close();
  });

  test("new A factors change A alone: same configuration, keys, types and B", async () => {
    await using folder = await tempFolder();
    const [source, out] = [join(folder.path, "source"), join(folder.path, "out")];
    await cp(join(fixtures, "patterns"), source, { recursive: true });
    const adapter = await openAdapter(source);
    const weight = "model.layers.0.self_attn.k_proj.weight";
    const { a } = await adapter.readPair(weight);
    const newA = a.map((x) => 2 * x + 1);
    await writeAdapter(out, adapter, new Map([[weight, newA]]));
    expect(await readFile(join(out, "adapter_config.json"))).toEqual(
      await readFile(join(source, "adapter_config.json")),
    );
    const written = await openAdapter(out);
    expect([...written.tensors]).toEqual([...adapter.tensors]);
    for (const key of adapter.tensors.keys())
      if (!key.endsWith("layers.0.self_attn.k_proj.lora_A.weight"))
        expect(await written.read(key)).toEqual(await adapter.read(key));
    expect((await written.readPair(weight)).a).toEqual(newA);
    await written.close();
    await adapter.close();
  });

  test("a new A of another size or of a weight without a pair is refused before anything is written", async () => {
    await using folder = await tempFolder();
    const adapter = await openAdapter(join(fixtures, "plain"));
    const out = join(folder.path, "out");
    const short = new Map([["model.layers.0.self_attn.q_proj.weight", new Float32Array(3)]]);
    expect((await failure(() => writeAdapter(out, adapter, short))).kind).toBe("incompatible");
    expect((await failure(() => writeAdapter(out, adapter, new Map([["x", new Float32Array(3)]])))).kind).toBe(
      "missing",
    );
    expect(await Bun.file(join(out, "adapter_config.json")).exists()).toBe(false);
    await adapter.close();
  });
});

const shared = sharedFolder();
if (!shared) console.warn("skipped: needs the shared folder with real models (SAFEDELTA_SHARED)");

describe.skipIf(!shared)("the adapters of SmolLM2", () => {
  test.each(["aligned-adapter", "tuned-adapter"])("%s adapts 210 linears with scale 2", async (name) => {
    const adapter = await openAdapter(join(shared ?? "", "models/smollm2", name));
    expect([adapter.pairs.size, adapter.otherTensors.size]).toEqual([210, 0]);
    expect([...new Set([...adapter.pairs.values()].map(({ rank, scale }) => `${rank} ${scale}`))]).toEqual(["16 2"]);
    const { rows, cols } = await adapter.readPair("model.layers.29.mlp.down_proj.weight");
    expect([rows, cols]).toEqual([576, 1536]);
    await adapter.close();
  });
});
