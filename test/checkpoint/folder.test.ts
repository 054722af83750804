import { describe, expect, test } from "bun:test";
import { mkdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { classifyPath, openCheckpoint, resolveSpec, type Tensor, writeSafetensors } from "@safedelta/checkpoint";
import { failure, randomTensor, sharedFolder, tempFolder } from "./tools.ts";

const a = randomTensor("a.weight", [4, 3], 1);
const b = randomTensor("b.weight", [2], 2, "BF16");
const indexFile = "model.safetensors.index.json";

/** A model folder in two shards; `weightMap` and `config` may be spoilt. */
async function makeSharded(folder: string, weightMap: unknown, config: unknown = {}): Promise<void> {
  await writeSafetensors(join(folder, "one.safetensors"), [a]);
  await writeSafetensors(join(folder, "two.safetensors"), [b]);
  await writeFile(join(folder, indexFile), JSON.stringify({ metadata: {}, weight_map: weightMap }));
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
}

const goodMap = { "a.weight": "one.safetensors", "b.weight": "two.safetensors" };

async function makeWhole(folder: string, tensors: readonly Tensor[] = [a, b]): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, "model.safetensors"), tensors);
  await writeFile(join(folder, "config.json"), "{}");
}

describe("a folder", () => {
  test("of shards reads as one model, in the order of the index", async () => {
    await using folder = await tempFolder();
    await makeSharded(
      folder.path,
      { "b.weight": "two.safetensors", "a.weight": "one.safetensors" },
      { x: [1], y: null },
    );
    const checkpoint = await openCheckpoint(folder.path);
    expect([...checkpoint.tensors.keys()]).toEqual(["b.weight", "a.weight"]);
    expect(checkpoint.config).toEqual({ x: [1], y: null });
    expect(await checkpoint.read("a.weight")).toEqual(a);
    expect((await checkpoint.readRows("b.weight", 1, 1)).bytes).toEqual(b.bytes.slice(2));
    expect((await failure(() => checkpoint.read("c"))).kind).toBe("missing");
    await checkpoint.close();
  });

  test("hands companions on verbatim, and nothing else", async () => {
    await using folder = await tempFolder();
    await makeWhole(folder.path);
    const files = {
      "tokenizer.json": "{ }\r\n",
      "chat_template.jinja": "é",
      LICENSE: "free",
      "README.md": "a card",
      "x.py": "no",
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder.path, name), text);
    const { companions, close } = await openCheckpoint(folder.path);
    expect([...companions.keys()]).toEqual([
      "LICENSE",
      "README.md",
      "chat_template.jinja",
      "config.json",
      "tokenizer.json",
    ]);
    expect(Buffer.from((await companions.get("tokenizer.json")?.bytes()) ?? []).toString()).toBe("{ }\r\n");
    await close();
  });

  test("with a tensor that the index leaves out warns", async () => {
    await using folder = await tempFolder();
    await makeSharded(folder.path, goodMap);
    await writeSafetensors(join(folder.path, "two.safetensors"), [b, randomTensor("extra", [1], 3)]);
    const warnings: string[] = [];
    const checkpoint = await openCheckpoint(folder.path, { onWarn: (message) => warnings.push(message) });
    expect(warnings).toEqual([expect.stringContaining("tensor extra is not in the index")]);
    expect(checkpoint.tensors.has("extra")).toBe(false);
    await checkpoint.close();
  });

  const spoilt: [string, unknown, string][] = [
    ["an absolute path", { "a.weight": "/etc/passwd" }, "outside the folder"],
    ["a path upwards", { "a.weight": "../one.safetensors" }, "outside the folder"],
    ["a path down and upwards", { "a.weight": "x/../../one.safetensors" }, "outside the folder"],
    ["a Windows path upwards", { "a.weight": "..\\one.safetensors" }, "outside the folder"],
    ["a drive", { "a.weight": "C:one.safetensors" }, "outside the folder"],
    ["an empty name", { "a.weight": "" }, "outside the folder"],
    ["a name that is no text", { "a.weight": 3 }, "weight_map must map"],
    ["a list", ["one.safetensors"], "weight_map must map"],
    ["a shard that is absent", { ...goodMap, c: "three.safetensors" }, "three.safetensors: cannot find the file"],
    ["a tensor that its shard does not hold", { ...goodMap, c: "one.safetensors" }, "holds no tensor c"],
  ];
  test.each(spoilt)("whose index names %s is refused", async (_, weightMap, message) => {
    await using folder = await tempFolder();
    await makeSharded(folder.path, weightMap);
    expect((await failure(() => openCheckpoint(folder.path))).message).toContain(message);
  });

  test.each(["one.safetensors", "config.json", indexFile])("whose %s is a link out of it is refused", async (name) => {
    await using folder = await tempFolder();
    const inside = join(folder.path, "inside");
    await mkdir(inside);
    await makeSharded(inside, goodMap);
    await writeFile(join(folder.path, "outside"), await readFile(join(inside, name)));
    await rm(join(inside, name));
    await symlink("../outside", join(inside, name));
    const error = await failure(() => openCheckpoint(inside));
    expect([error.kind, error.file]).toEqual(["format", join(inside, name)]);
    expect(error.message).toContain("outside its folder");
  });

  test("with links inside it, or itself named by a link, is fine", async () => {
    await using folder = await tempFolder();
    const real = join(folder.path, "real");
    await makeWhole(join(real, "data"));
    await writeFile(join(real, "config.json"), "{}");
    await symlink("data/model.safetensors", join(real, "model.safetensors"));
    await symlink("real", join(folder.path, "link"));
    const checkpoint = await openCheckpoint(join(folder.path, "link"));
    expect(await checkpoint.read("a.weight")).toEqual(a);
    await checkpoint.close();
  });

  test("with a truncated shard names that shard", async () => {
    await using folder = await tempFolder();
    await makeSharded(folder.path, goodMap);
    await truncate(join(folder.path, "two.safetensors"), 90);
    const error = await failure(() => openCheckpoint(folder.path));
    expect(error.file).toBe(join(folder.path, "two.safetensors"));
    expect(error.message).toContain("truncated");
  });

  test("of pickles is refused with advice", async () => {
    await using folder = await tempFolder();
    await writeFile(join(folder.path, "config.json"), "{}");
    await writeFile(join(folder.path, "pytorch_model.bin"), "");
    const error = await failure(() => openCheckpoint(folder.path));
    expect(error.kind).toBe("unsupported");
    expect(error.message).toContain("safe_serialization");
  });

  test("without weights, without config.json, or with a broken one is an error", async () => {
    await using folder = await tempFolder();
    await writeFile(join(folder.path, "config.json"), "{}");
    expect((await failure(() => openCheckpoint(folder.path))).kind).toBe("not-found");
    await makeWhole(folder.path);
    await writeFile(join(folder.path, "config.json"), "{");
    expect((await failure(() => openCheckpoint(folder.path))).message).toContain("not valid JSON");
    await writeFile(join(folder.path, "config.json"), "[]");
    expect((await failure(() => openCheckpoint(folder.path))).message).toContain("JSON object");
    await rm(join(folder.path, "config.json"));
    expect((await failure(() => openCheckpoint(folder.path))).kind).toBe("not-found");
  });

  test("of a quantised model is refused by its method", async () => {
    await using folder = await tempFolder();
    await makeSharded(folder.path, goodMap, { quantization_config: { quant_method: "gptq" } });
    const error = await failure(() => openCheckpoint(folder.path));
    expect([error.kind, error.message]).toEqual(["unsupported", expect.stringContaining("gptq")]);
  });
});

describe("spellings", () => {
  test.each([
    ["org/name", { kind: "hub", id: { repo: "org/name", revision: "main" } }],
    ["org/name.v2@refs/pr/1", { kind: "hub", id: { repo: "org/name.v2", revision: "refs/pr/1" } }],
    ["org/a+other/b@v1", { kind: "chain", base: "org/a", adapter: "other/b@v1" }],
    ["org/a+b+c", { kind: "chain", base: "org/a+b", adapter: "c" }],
  ])("%s", async (spec, meaning) => {
    expect(await resolveSpec(spec)).toEqual(meaning as never);
  });

  test.each(["", "nothing-here", "org/name@../../x", "a/b/c", "../none", "org/../x"])(
    "%p means nothing",
    async (spec) => {
      const error = await failure(() => resolveSpec(spec));
      expect([error.kind, error.message]).toEqual(["not-found", expect.stringContaining("FOLDER+ADAPTER")]);
    },
  );

  test("an existing path wins over every other meaning, also with a + in it", async () => {
    await using folder = await tempFolder();
    const base = join(folder.path, "a+b");
    const adapter = join(folder.path, "c+d");
    await makeWhole(base);
    await mkdir(adapter);
    await writeFile(join(adapter, "adapter_config.json"), "{}");
    expect(await resolveSpec(base)).toEqual({ kind: "folder", path: base });
    expect(await resolveSpec(`${base}+${adapter}`)).toEqual({ kind: "chain", base, adapter });
    expect(await resolveSpec(`x/y+${adapter}`)).toEqual({ kind: "chain", base: "x/y", adapter });
  });

  test("a single safetensors file, a state and an empty folder say what they are", async () => {
    await using folder = await tempFolder();
    const file = join(folder.path, "x.safetensors");
    await writeSafetensors(file, [a]);
    expect((await failure(() => resolveSpec(file))).message).toContain("single safetensors file");
    expect((await failure(() => resolveSpec(folder.path))).message).toContain("not a model");
    await writeFile(join(folder.path, "state.json"), "{}");
    expect((await failure(() => resolveSpec(folder.path))).message).toContain("prepared state");
  });
});

describe("classifyPath", () => {
  test("tells kinds", async () => {
    await using folder = await tempFolder();
    const model = join(folder.path, "model");
    await makeWhole(model);
    expect(await classifyPath(model)).toBe("model");
    expect(await classifyPath(join(model, "model.safetensors"))).toBe("safetensors");
    expect(await classifyPath(join(import.meta.dir, "fixtures/peft/dora"))).toBe("adapter");
    expect(await classifyPath(folder.path)).toBe("unknown");
    await writeFile(join(folder.path, "state.json"), "{}");
    expect(await classifyPath(folder.path)).toBe("state");
  });
});

const shared = sharedFolder();
const reason = "needs the shared folder with real models (SAFEDELTA_SHARED)";
if (!shared) console.warn(`skipped: ${reason}`);

describe.skipIf(!shared)("the tiny models", () => {
  test.each(["aligned", "tuned"])("%s: every tensor is its bytes in the file", async (which) => {
    const folder = join(shared ?? "", "models/tiny", which);
    const raw = await readFile(join(folder, "model.safetensors"));
    const dataStart = 8 + Number(raw.readBigUInt64LE(0));
    const header = JSON.parse(raw.subarray(8, dataStart).toString());
    const checkpoint = await openCheckpoint(folder);
    expect(checkpoint.tensors.size).toBe(20);
    for (const [name, info] of checkpoint.tensors) {
      const { dtype, shape, data_offsets } = header[name];
      expect([info.dtype, [...info.shape]]).toEqual([dtype, shape]);
      const [start, end] = data_offsets;
      expect(raw.subarray(dataStart + start, dataStart + end).equals((await checkpoint.read(name)).bytes)).toBe(true);
    }
    expect([...checkpoint.companions.keys()]).toContain("tokenizer.json");
    await checkpoint.close();
  });
});
