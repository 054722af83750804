import { describe, expect, test } from "bun:test";
import { readFile, readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import { locateHubFile } from "@safedelta/checkpoint";
import { FakeHub, withoutHubVariables } from "./fake-hub.ts";
import { failure, tempFolder } from "./tools.ts";

const commit = "0123456789abcdef0123456789abcdef01234567";
const text = '{"question":"How many are two?"}\n';
const files = new Map([
  ["main/train.jsonl", new TextEncoder().encode(text)],
  ["other.jsonl", new TextEncoder().encode("{}")],
]);
const file = { type: "dataset", repo: "org/sums", revision: "main", path: "main/train.jsonl" } as const;
const silent = () => {};

withoutHubVariables();

describe("one file of a data set", () => {
  test("is fetched alone, into Python's layout, and comes from the cache then", async () => {
    await using folder = await tempFolder();
    using hub = new FakeHub("org/sums", commit, files, undefined, "dataset");
    Object.assign(process.env, { HF_ENDPOINT: hub.url, HF_HUB_CACHE: folder.path });
    const path = await locateHubFile(file, false, silent);
    expect(path).toBe(join(folder.path, "datasets--org--sums/snapshots", commit, "main/train.jsonl"));
    expect(await readFile(path, "utf8")).toBe(text);
    expect(await readlink(path)).toBe(`../../../blobs/${hub.hashOf("main/train.jsonl")}`);
    expect(await readFile(join(folder.path, "datasets--org--sums/refs/main"), "utf8")).toBe(commit);
    expect(hub.ranges("other.jsonl")).toEqual([]);
    const requests = hub.requests.length;
    expect(await locateHubFile(file, false, silent)).toBe(path);
    expect(await locateHubFile({ ...file, revision: commit }, true, silent)).toBe(path);
    expect(hub.requests.length).toBe(requests);
  });

  test("is not looked for on the network when offline", async () => {
    await using folder = await tempFolder();
    using hub = new FakeHub("org/sums", commit, files, undefined, "dataset");
    Object.assign(process.env, { HF_ENDPOINT: hub.url, HF_HUB_CACHE: folder.path });
    const error = await failure(() => locateHubFile(file, true, silent));
    expect([error.kind, error.message]).toEqual([
      "not-found",
      expect.stringMatching(/^org\/sums@main: main\/train.jsonl is not in the Hub cache .* offline/),
    ]);
    process.env.HF_HUB_OFFLINE = "1";
    expect((await failure(() => locateHubFile(file, false, silent))).message).toContain("offline");
    expect(hub.requests).toEqual([]);
  });

  test("of a gated data set needs a token, then access: each told with the page to go to", async () => {
    await using folder = await tempFolder();
    using hub = new FakeHub("org/sums", commit, files, "hf_right", "dataset");
    Object.assign(process.env, { HF_ENDPOINT: hub.url, HF_HOME: folder.path });
    const page = `${hub.url}/datasets/org/sums`;
    const without = await failure(() => locateHubFile(file, false, silent));
    expect([without.kind, without.message]).toEqual(["not-found", expect.stringContaining("set HF_TOKEN")]);
    expect(without.message).toContain(page);
    process.env.HF_TOKEN = "hf_wrong";
    const refused = await failure(() => locateHubFile(file, false, silent));
    expect(refused.message).toContain(`the token has no access to it: ask for it on its page, ${page}`);
    process.env.HF_TOKEN = "hf_right";
    expect(await readFile(await locateHubFile(file, false, silent), "utf8")).toBe(text);
  });

  test("that is not there, of a data set that is not there, or outside of it, is told", async () => {
    await using folder = await tempFolder();
    using hub = new FakeHub("org/sums", commit, files, undefined, "dataset");
    Object.assign(process.env, { HF_ENDPOINT: hub.url, HF_HUB_CACHE: folder.path });
    const messageOf = async (change: object) =>
      (await failure(() => locateHubFile({ ...file, ...change }, false, silent))).message;
    expect(await messageOf({ path: "main/dev.jsonl" })).toContain("has no file main/dev.jsonl");
    expect(await messageOf({ repo: "org/none" })).toContain("no such dataset or revision");
    expect(await messageOf({ path: "../../secret" })).toContain("no path inside a repository");
    process.env.HF_ENDPOINT = "http://127.0.0.1:1";
    expect(await messageOf({})).toContain("check the network, or name a local file");
  });

  test("whose link in the cache leads nowhere is fetched anew", async () => {
    await using folder = await tempFolder();
    using hub = new FakeHub("org/sums", commit, files, undefined, "dataset");
    Object.assign(process.env, { HF_ENDPOINT: hub.url, HF_HUB_CACHE: folder.path });
    const path = await locateHubFile(file, false, silent);
    await rm(join(folder.path, "datasets--org--sums/blobs"), { recursive: true });
    expect(await readFile(await locateHubFile(file, false, silent), "utf8")).toBe(text);
    expect(path).toContain(commit);
  });
});
