import { describe, expect, test } from "bun:test";
import { mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openCheckpoint, resolveSpec, writeSafetensors } from "@safedelta/checkpoint";
import { FakeHub, withoutHubVariables } from "./fake-hub.ts";
import { failure, randomTensor, tempFolder } from "./tools.ts";

const commit = "0123456789abcdef0123456789abcdef01234567";
const weight = randomTensor("model.norm.weight", [5], 1);

withoutHubVariables();

/** The files of a small model, as bytes. */
async function modelFiles(folder: string): Promise<Map<string, Uint8Array>> {
  const path = join(folder, "made.safetensors");
  await writeSafetensors(path, [weight]);
  const text = (value: string) => new TextEncoder().encode(value);
  return new Map([
    ["config.json", text('{"model_type":"llama"}')],
    ["tokenizer.json", text("{}")],
    ["empty.txt", text("")],
    ["LICENSE", text("")],
    ["model.safetensors", new Uint8Array(await readFile(path))],
    ["pytorch_model.bin", text("pickle")],
    ["onnx/model.onnx", text("onnx")],
  ]);
}

/** A cache as Python's huggingface_hub lays it out: blobs, snapshots of links, refs. */
async function buildCache(cache: string, files: ReadonlyMap<string, Uint8Array>): Promise<string> {
  const repo = join(cache, "models--org--tiny");
  const snapshot = join(repo, "snapshots", commit);
  for (const folder of [join(repo, "blobs"), join(repo, "refs"), snapshot]) await mkdir(folder, { recursive: true });
  for (const [name, bytes] of files) {
    if (name.includes("/")) continue;
    await writeFile(join(repo, "blobs", `blob-of-${name}`), bytes);
    await symlink(`../../blobs/blob-of-${name}`, join(snapshot, name));
  }
  await writeFile(join(repo, "refs/main"), commit);
  return snapshot;
}

async function expectModel(spec: string): Promise<void> {
  const checkpoint = await openCheckpoint(spec);
  expect(checkpoint.kind).toBe("hub");
  expect(checkpoint.config).toEqual({ model_type: "llama" });
  expect(await checkpoint.read(weight.name)).toEqual(weight);
  await checkpoint.close();
}

describe("the cache", () => {
  test.each([
    ["HF_HOME", "hub"],
    ["HF_HUB_CACHE", ""],
  ])("is found by %s and used without a network", async (variable, below) => {
    await using folder = await tempFolder();
    await buildCache(join(folder.path, below), await modelFiles(folder.path));
    process.env[variable] = folder.path;
    process.env.HF_ENDPOINT = "http://127.0.0.1:1";
    await expectModel("org/tiny");
    await expectModel("org/tiny@main");
    await expectModel(`org/tiny@${commit}`);
  });

  test.each(["HF_HUB_OFFLINE", "offline"])("%s: what is not in it is an error that says so", async (how) => {
    await using folder = await tempFolder();
    process.env.HF_HUB_CACHE = folder.path;
    if (how === "HF_HUB_OFFLINE") process.env.HF_HUB_OFFLINE = "1";
    const error = await failure(() => openCheckpoint("org/tiny", { offline: how === "offline" }));
    expect(error.kind).toBe("not-found");
    expect(error.message).toContain("offline");
  });

  test("an incomplete snapshot does not count", async () => {
    await using folder = await tempFolder();
    const snapshot = await buildCache(folder.path, await modelFiles(folder.path));
    process.env.HF_HUB_CACHE = folder.path;
    await rm(join(snapshot, "model.safetensors"));
    expect((await failure(() => openCheckpoint("org/tiny", { offline: true }))).message).toContain("completely");
    const index = { weight_map: { "model.norm.weight": "model-00001-of-00001.safetensors" } };
    await writeFile(join(snapshot, "model.safetensors.index.json"), JSON.stringify(index));
    expect((await failure(() => openCheckpoint("org/tiny", { offline: true }))).message).toContain("completely");
  });

  test("a link to somewhere else than the repository's blobs is refused", async () => {
    await using folder = await tempFolder();
    const snapshot = await buildCache(folder.path, await modelFiles(folder.path));
    process.env.HF_HUB_CACHE = folder.path;
    await writeFile(join(folder.path, "secret"), "secret");
    await rm(join(snapshot, "tokenizer.json"));
    await symlink(join(folder.path, "secret"), join(snapshot, "tokenizer.json"));
    expect((await failure(() => openCheckpoint("org/tiny"))).message).toContain("outside its folder");
  });

  test("a local folder of the same name wins", async () => {
    await using folder = await tempFolder();
    const local = join(folder.path, "org/tiny");
    await mkdir(local, { recursive: true });
    await writeSafetensors(join(local, "model.safetensors"), [weight]);
    await writeFile(join(local, "config.json"), '{"model_type":"local"}');
    const before = process.cwd();
    process.chdir(folder.path);
    try {
      const checkpoint = await openCheckpoint("org/tiny");
      expect([checkpoint.kind, checkpoint.config.model_type]).toEqual(["folder", "local"]);
      await checkpoint.close();
    } finally {
      process.chdir(before);
    }
  });
});

describe("a spelling that could be both", () => {
  /** Resolve in a folder that holds `models/mine` and nothing else. */
  async function inFolder<T>(work: () => Promise<T>): Promise<T> {
    await using folder = await tempFolder();
    await mkdir(join(folder.path, "models/mine"), { recursive: true });
    const before = process.cwd();
    process.chdir(folder.path);
    try {
      return await work();
    } finally {
      process.chdir(before);
    }
  }

  test.each([
    ["models/mien", "the folder models is here"],
    ["models/mien.gguf", "it ends in .gguf"],
    ["org/model.safetensors", "it ends in .safetensors"],
    ["./org/model", "write a model folder"],
    ["../org", "write a model folder"],
    ["/org/model", "write a model folder"],
    ["~/model", "write a model folder"],
    ["a/b/c", "write a model folder"],
    ["model", "write a model folder"],
  ])("%s is a path that is not there", async (spec, why) => {
    const error = await inFolder(() => failure(() => resolveSpec(spec)));
    expect(error.kind).toBe("not-found");
    expect(error.message).toStartWith(`${spec}: there is no such file or folder; `);
    expect(error.message).toContain(why);
  });

  test.each(["org/model", "org/Llama-3.2-1B", "models/mien@main"])("%s is a Hub id", async (spec) => {
    expect(await inFolder(() => resolveSpec(spec))).toMatchObject({ kind: "hub" });
  });

  test("is told in both readings when the cache lacks it and the run is offline", async () => {
    await using folder = await tempFolder();
    process.env.HF_HUB_CACHE = folder.path;
    const { message } = await failure(() => openCheckpoint("org/tiny", { offline: true }));
    expect(message).toMatch(/no such local folder, and as a model of the Hub .*cache/);
  });
});

describe("the download", () => {
  test("fetches what a model needs, in Python's layout, once", async () => {
    await using folder = await tempFolder();
    using hub = new FakeHub("org/tiny", commit, await modelFiles(folder.path));
    Object.assign(process.env, { HF_ENDPOINT: `${hub.url}/`, HF_HUB_CACHE: join(folder.path, "cache") });
    await expectModel("org/tiny");
    const repo = join(folder.path, "cache/models--org--tiny");
    const files = ["LICENSE", "config.json", "model.safetensors", "tokenizer.json"];
    expect((await readdir(join(repo, "snapshots", commit))).sort()).toEqual(files);
    expect(await readFile(join(repo, "refs/main"), "utf8")).toBe(commit);
    expect(await readlink(join(repo, "snapshots", commit, "model.safetensors"))).toMatch(
      /^\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/,
    );
    expect(await readlink(join(repo, "snapshots", commit, "config.json"))).toMatch(/^\.\.\/\.\.\/blobs\/[0-9a-f]{40}$/);
    const requests = hub.requests.length;
    await expectModel("org/tiny");
    expect(hub.requests.length).toBe(requests);
  });

  test("fetches the tokenizer that a cached model lacks, of the commit that is there", async () => {
    await using folder = await tempFolder();
    const files = await modelFiles(folder.path);
    const cache = join(folder.path, "cache");
    const snapshot = await buildCache(cache, new Map([...files].filter(([name]) => name !== "tokenizer.json")));
    await writeFile(join(cache, "models--org--tiny/refs/main"), commit);
    using hub = new FakeHub("org/tiny", commit, files);
    Object.assign(process.env, { HF_ENDPOINT: hub.url, HF_HUB_CACHE: cache });
    const warnings: string[] = [];
    const offline = await openCheckpoint("org/tiny", { offline: true, onWarn: (message) => warnings.push(message) });
    await offline.close();
    expect([...offline.companions.keys()]).not.toContain("tokenizer.json");
    expect(warnings).toEqual([expect.stringMatching(/org\/tiny: .*without its tokenizer.*offline/)]);
    expect(hub.requests).toEqual([]);
    await expectModel("org/tiny");
    expect(await readdir(snapshot)).toContain("tokenizer.json");
    expect(hub.requests.filter((line) => line.includes("/resolve/")).every((line) => /tokenizer/.test(line))).toBe(
      true,
    );
    const requests = hub.requests.length;
    await expectModel("org/tiny");
    expect(hub.requests.length).toBe(requests);
  });

  test("goes on where it stopped", async () => {
    await using folder = await tempFolder();
    const files = await modelFiles(folder.path);
    using hub = new FakeHub("org/tiny", commit, files);
    Object.assign(process.env, { HF_ENDPOINT: hub.url, HF_HUB_CACHE: join(folder.path, "cache") });
    const blobs = join(folder.path, "cache/models--org--tiny/blobs");
    await mkdir(blobs, { recursive: true });
    const weights = files.get("model.safetensors") ?? new Uint8Array();
    await writeFile(join(blobs, `${hub.hashOf("model.safetensors")}.incomplete`), weights.subarray(0, 40));
    await expectModel("org/tiny");
    expect(hub.ranges("model.safetensors")).toContain(`bytes=40-${weights.length - 1}`);
  });

  test("checks the hash of what arrived, and starts anew the next time", async () => {
    await using folder = await tempFolder();
    const files = await modelFiles(folder.path);
    using hub = new FakeHub("org/tiny", commit, files);
    Object.assign(process.env, { HF_ENDPOINT: hub.url, HF_HUB_CACHE: join(folder.path, "cache") });
    const blobs = join(folder.path, "cache/models--org--tiny/blobs");
    await mkdir(blobs, { recursive: true });
    await writeFile(join(blobs, `${hub.hashOf("model.safetensors")}.incomplete`), "garbage of another file");
    expect((await failure(() => openCheckpoint("org/tiny"))).message).toContain("damaged");
    await expectModel("org/tiny");
  });

  test("sends the token of HF_TOKEN, else of the token file", async () => {
    await using folder = await tempFolder();
    using hub = new FakeHub("org/tiny", commit, await modelFiles(folder.path), "from-file");
    Object.assign(process.env, { HF_ENDPOINT: hub.url, HF_HOME: folder.path });
    expect((await failure(() => openCheckpoint("org/tiny"))).message).toContain("HF_TOKEN");
    process.env.HF_TOKEN = "hf_wrong";
    expect((await failure(() => openCheckpoint("org/tiny"))).message).toContain("no access");
    delete process.env.HF_TOKEN;
    process.env.HF_TOKEN_PATH = join(folder.path, "my-token");
    await writeFile(process.env.HF_TOKEN_PATH, "hf_from-file\n");
    hub.token = "hf_from-file";
    await expectModel("org/tiny");
  });

  test("names a model that does not exist, one of pickles only, and a Hub that cannot be reached", async () => {
    await using folder = await tempFolder();
    using hub = new FakeHub("org/tiny", commit, new Map([["pytorch_model.bin", new Uint8Array(3)]]));
    Object.assign(process.env, { HF_ENDPOINT: hub.url, HF_HUB_CACHE: folder.path });
    const missing = await failure(() => openCheckpoint("org/nothing@v2"));
    expect([missing.kind, missing.message]).toEqual(["not-found", expect.stringContaining("org/nothing@v2")]);
    expect((await failure(() => openCheckpoint("org/tiny"))).message).toContain("pickle");
    process.env.HF_ENDPOINT = "http://127.0.0.1:1";
    expect((await failure(() => openCheckpoint("org/tiny"))).message).toContain("cannot reach http://127.0.0.1:1");
  });
});
