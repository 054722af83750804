import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { appendFile, mkdir, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError, createWriter, type Disk, nodeDisk, openCheckpoint } from "@safedelta/checkpoint";
import { failure, folderBytes, json, tempFolder } from "./tools.ts";
import { jobExtra, jobPlan, jobTensors, noteOf, runJob } from "./writer-job.ts";

async function uninterrupted(): Promise<Record<string, string>> {
  await using folder = await tempFolder();
  await runJob(folder.path);
  return await folderBytes(folder.path);
}

/** Writes the first `n` tensors and stops as a process that is told to stop. */
async function writePart(out: string, n: number, plan = jobPlan): Promise<void> {
  const writer = await createWriter(out, plan);
  for (const { name, bytes } of jobTensors.slice(0, n)) await writer.write(name, bytes, noteOf(name, bytes));
  await writer.abort();
}

/** A disk on which the call number `at` fails, and nothing else. */
function failingDisk(at: number, code: string): { disk: Disk; calls: () => number } {
  let calls = 0;
  const step = () => {
    if (calls++ === at) throw Object.assign(new Error(`${code}: injected`), { code });
  };
  const disk: Disk = {
    open: async (path, flags) => {
      step();
      return nodeDisk.open(path, flags);
    },
    write: async (fd, bytes, position) => {
      if (calls === at) await nodeDisk.write(fd, bytes.subarray(0, bytes.length >> 1), position);
      step();
      return nodeDisk.write(fd, bytes, position);
    },
    truncate: async (fd, sizeBytes) => {
      step();
      return nodeDisk.truncate(fd, sizeBytes);
    },
    sync: async (fd) => {
      step();
      return nodeDisk.sync(fd);
    },
    close: nodeDisk.close,
    rename: async (from, to) => {
      step();
      return nodeDisk.rename(from, to);
    },
  };
  return { disk, calls: () => calls };
}

describe("layout", () => {
  test("shards are filled greedily in key order and the index is that of transformers", async () => {
    await using folder = await tempFolder();
    await runJob(folder.path);
    const shards = [1, 2, 3].map((n) => `model-0000${n}-of-00003.safetensors`);
    expect((await readdir(folder.path)).sort()).toEqual([
      "README.md",
      "config.json",
      ...shards,
      "model.safetensors.index.json",
    ]);
    const index = JSON.parse(await readFile(join(folder.path, "model.safetensors.index.json"), "utf8"));
    expect(index.metadata).toEqual({ total_size: jobTensors.reduce((sum, { bytes }) => sum + bytes.length, 0) });
    expect(index.weight_map).toEqual({
      "a.weight": shards[0],
      "b.weight": shards[0],
      "big.weight": shards[1],
      empty: shards[2],
      "y.weight": shards[2],
      "z.weight": shards[2],
    });
  });

  test("what was written is what is read", async () => {
    await using folder = await tempFolder();
    await runJob(folder.path);
    const checkpoint = await openCheckpoint(folder.path);
    for (const tensor of jobTensors) expect(await checkpoint.read(tensor.name)).toEqual(tensor);
    await checkpoint.close();
  });

  test("one shard is model.safetensors without an index", async () => {
    await using folder = await tempFolder();
    await runJob(folder.path, nodeDisk, { ...jobPlan, maxShardBytes: 1e9 });
    expect((await readdir(folder.path)).sort()).toEqual(["README.md", "config.json", "model.safetensors"]);
  });

  test("the order of writing does not change a byte", async () => {
    await using folder = await tempFolder();
    const writer = await createWriter(folder.path, jobPlan);
    await Promise.all(jobTensors.toReversed().map(({ name, bytes }) => writer.write(name, bytes, noteOf(name, bytes))));
    await writer.finish(jobExtra);
    expect(await folderBytes(folder.path)).toEqual(await uninterrupted());
  });
});

describe("misuse", () => {
  test("unknown names, wrong sizes, a tensor twice, an early end and paths as names are refused", async () => {
    await using folder = await tempFolder();
    const writer = await createWriter(folder.path, jobPlan);
    const [first] = jobTensors;
    const note = noteOf(first.name, first.bytes);
    expect((await failure(() => writer.write("nobody", first.bytes, note))).kind).toBe("missing");
    expect((await failure(() => writer.write(first.name, first.bytes.subarray(1), note))).kind).toBe("format");
    await writer.write(first.name, first.bytes, note);
    expect((await failure(() => writer.write(first.name, first.bytes, note))).message).toContain("already");
    expect((await failure(() => writer.finish(jobExtra))).message).toContain("5 tensors are not written yet");
    for (const { name, bytes } of jobTensors.slice(1)) await writer.write(name, bytes, noteOf(name, bytes));
    for (const name of ["../x", "a/b", ".hidden", "model.safetensors", "model.safetensors.index.json"])
      expect((await failure(() => writer.finish(new Map([[name, json(1)]])))).kind).toBe("format");
    await writer.finish(jobExtra);
    expect(await folderBytes(folder.path)).toEqual(await uninterrupted());
  });

  test("a tensor name that occurs twice is refused", async () => {
    await using folder = await tempFolder();
    const tensors = [jobTensors[0], jobTensors[0]];
    expect((await failure(() => createWriter(folder.path, { ...jobPlan, tensors }))).message).toContain("twice");
  });
});

describe("an output folder that is not empty", () => {
  test("is refused without overwrite, and its model stays until the new one is complete", async () => {
    await using folder = await tempFolder();
    await runJob(folder.path, nodeDisk, { ...jobPlan, maxShardBytes: 1e9 });
    await writeFile(join(folder.path, "tokenizer.json"), "old");
    await writeFile(join(folder.path, "notes.txt"), "mine");
    const before = await folderBytes(folder.path);
    expect((await failure(() => createWriter(folder.path, jobPlan))).message).toContain("--overwrite");
    await writePart(folder.path, 3, { ...jobPlan, overwrite: true });
    expect(await folderBytes(folder.path)).toMatchObject(before);
    await runJob(folder.path, nodeDisk, { ...jobPlan, overwrite: true });
    const { "notes.txt": notes, ...rest } = await folderBytes(folder.path);
    expect(notes).toBe(Buffer.from("mine").toString("base64"));
    expect(rest).toEqual(await uninterrupted());
  });

  test("with unfinished work of another run is refused, or started anew with overwrite", async () => {
    await using folder = await tempFolder();
    await writePart(folder.path, 3);
    const other = { ...jobPlan, fingerprint: "another" };
    expect((await failure(() => createWriter(folder.path, other))).message).toContain("unfinished work of another run");
    const otherShards = { ...jobPlan, maxShardBytes: 1e6 };
    expect((await failure(() => createWriter(folder.path, otherShards))).kind).toBe("incompatible");
    const writer = await createWriter(folder.path, { ...other, overwrite: true });
    expect(writer.done.size).toBe(0);
    await writer.abort();
  });

  test("that is a file is an error with its name", async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, "file");
    await writeFile(path, "");
    expect((await failure(() => createWriter(path, jobPlan))).file).toBe(path);
  });
});

describe("resume", () => {
  test("keeps what is done, with its notes, at every point", async () => {
    const whole = await uninterrupted();
    for (let n = 0; n <= jobTensors.length; n++) {
      await using folder = await tempFolder();
      await writePart(folder.path, n);
      const writer = await createWriter(folder.path, jobPlan);
      expect([...writer.done]).toEqual(jobTensors.slice(0, n).map(({ name, bytes }) => [name, noteOf(name, bytes)]));
      await writer.abort();
      await runJob(folder.path);
      expect(await folderBytes(folder.path)).toEqual(whole);
    }
  });

  test("ignores a torn last line and overwrites it", async () => {
    await using folder = await tempFolder();
    await writePart(folder.path, 3);
    await appendFile(join(folder.path, ".safedelta-work/journal.jsonl"), '{"tensor":"z.weight","note":{"sha2');
    const writer = await createWriter(folder.path, jobPlan);
    expect(writer.done.size).toBe(3);
    await writer.abort();
    await runJob(folder.path);
    expect(await folderBytes(folder.path)).toEqual(await uninterrupted());
  });

  test("asks again for a tensor whose bytes changed on the disk", async () => {
    await using folder = await tempFolder();
    await writePart(folder.path, 3);
    const shard = join(folder.path, ".safedelta-work/model-00002-of-00003.safetensors");
    const bytes = await readFile(shard);
    bytes[bytes.length - 5] ^= 1;
    await writeFile(shard, bytes);
    const writer = await createWriter(folder.path, jobPlan);
    expect([...writer.done.keys()]).toEqual(["b.weight", "a.weight"]);
    await writer.abort();
  });

  test("starts anew when a shard of the work is gone or cut", async () => {
    await using folder = await tempFolder();
    await writePart(folder.path, 3);
    await truncate(join(folder.path, ".safedelta-work/model-00001-of-00003.safetensors"), 100);
    const writer = await createWriter(folder.path, jobPlan);
    expect(writer.done.size).toBe(0);
    await writer.abort();
  });
});

describe("faults", () => {
  /** A model loads when its configuration and its weights or their index are there. */
  async function looksFinished(folder: string): Promise<boolean> {
    const names = await readdir(folder);
    return names.includes("config.json") && names.some((name) => /^model\.safetensors/.test(name));
  }

  test.each(["ENOSPC", "EIO"])(
    "%s at every single call: typed error, nothing that looks finished, same bytes after",
    async (code) => {
      const whole = await uninterrupted();
      const counter = failingDisk(-1, code);
      {
        await using folder = await tempFolder();
        await runJob(folder.path, counter.disk);
      }
      expect(counter.calls()).toBeGreaterThan(30);
      for (let at = 0; at < counter.calls(); at++) {
        await using folder = await tempFolder();
        const error = await failure(() => runJob(folder.path, failingDisk(at, code).disk));
        expect(error).toBeInstanceOf(CheckpointError);
        expect(error.kind).toBe(code === "ENOSPC" ? "disk-full" : "io");
        expect(await looksFinished(folder.path)).toBe(false);
        await runJob(folder.path);
        expect(await folderBytes(folder.path)).toEqual(whole);
      }
    },
    60_000,
  );

  test("over a former model: at every call it is whole, or nothing loads, and never a mixture", async () => {
    const whole = await uninterrupted();
    const former = { ...jobPlan, fingerprint: "former", maxShardBytes: 1e9 };
    const plan = { ...jobPlan, overwrite: true };
    for (let at = 0; ; at++) {
      await using folder = await tempFolder();
      await runJob(folder.path, nodeDisk, former);
      await writeFile(join(folder.path, "tokenizer.json"), "former");
      const before = await folderBytes(folder.path);
      const { disk, calls } = failingDisk(at, "EIO");
      const ended = await runJob(folder.path, disk, plan).then(
        () => true,
        () => false,
      );
      const { ...after } = await folderBytes(folder.path);
      if (ended && calls() <= at) return expect(after).toEqual(whole);
      if (await looksFinished(folder.path)) expect(after).toMatchObject(before);
      await runJob(folder.path, nodeDisk, plan);
      expect(await folderBytes(folder.path)).toEqual(whole);
    }
  }, 300_000);

  test("a failed write can be repeated with the same writer", async () => {
    await using folder = await tempFolder();
    const [first, ...rest] = jobTensors;
    const probe = failingDisk(-1, "ENOSPC");
    await (await createWriter(join(folder.path, "probe"), jobPlan, probe.disk)).abort();
    /** Opening the shard, writing and syncing it, cutting the journal; then its line. */
    const journalWrite = probe.calls() + 4;
    const out = join(folder.path, "out");
    const writer = await createWriter(out, jobPlan, failingDisk(journalWrite, "ENOSPC").disk);
    const note = { ...noteOf(first.name, first.bytes), long: "x".repeat(500) };
    expect((await failure(() => writer.write(first.name, first.bytes, note))).kind).toBe("disk-full");
    expect(writer.done.size).toBe(0);
    for (const { name, bytes } of [first, ...rest]) await writer.write(name, bytes, noteOf(name, bytes));
    await writer.finish(jobExtra);
    expect(await folderBytes(out)).toEqual(await uninterrupted());
  });

  test("a disk that really is full", async () => {
    await using folder = await tempFolder();
    const mount = join(folder.path, "small");
    await mkdir(mount);
    const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", mount]).exitCode === 0;
    if (!mounted) return console.warn("skipped: mounting a small tmpfs needs root");
    try {
      expect((await failure(() => runJob(join(mount, "out")))).kind).toBe("disk-full");
      expect(await looksFinished(join(mount, "out"))).toBe(false);
      Bun.spawnSync(["mount", "-o", "remount,size=1m", mount]);
      await runJob(join(mount, "out"));
      expect(await folderBytes(join(mount, "out"))).toEqual(await uninterrupted());
    } finally {
      Bun.spawnSync(["umount", mount]);
    }
  });
});

describe("kill -9", () => {
  /** Runs the job in a process of its own and kills it a moment after it began its step number `step`. */
  async function runAndKill(out: string, step: number, afterMs: number): Promise<void> {
    const command = [process.execPath, join(import.meta.dir, "writer-job.ts"), out];
    const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
    let begun = 0;
    for await (const chunk of child.stdout) {
      begun += chunk.filter((byte) => byte === 10).length;
      if (begun > step) break;
    }
    await Bun.sleep(afterMs);
    child.kill("SIGKILL");
    await child.exited;
  }

  test("at every step, a random moment into it, twice in a row: the same bytes as an uninterrupted run", async () => {
    const whole = await uninterrupted();
    for (let step = 0; step <= jobTensors.length; step++) {
      await using folder = await tempFolder();
      const out = join(folder.path, "out");
      await runAndKill(out, step, 5 * Math.random());
      await runAndKill(out, 0, 5 * Math.random());
      if (existsSync(join(out, ".safedelta-work")) || !existsSync(out)) await runJob(out);
      expect(await folderBytes(out)).toEqual(whole);
    }
  }, 300_000);
});
