import { describe, expect, test } from "bun:test";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeF32, openAdapter, openCheckpoint, writeAdapter } from "@safedelta/checkpoint";
import { expectRounded, fixtures, makeAdapter, makeBase, pairOf, plus, product } from "./adapters.ts";
import { failure, sharedFolder, tempFolder } from "./tools.ts";

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
