import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, readdir } from "node:fs/promises";
import { runInWorker } from "../../cli/src/runInWorker.ts";
import { folderHashes, scratchFolder } from "../support/pico.ts";
import { jsonOf, safedelta, succeed } from "./run.ts";
import { dataFlags, drawFlags, makeWorld, type World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

/** A small disk of its own. */
interface SmallDisk extends AsyncDisposable {
  resize(bytes: number): void;
}

function mount(...args: readonly string[]): boolean {
  return Bun.spawnSync(["mount", ...args], { stderr: "ignore" }).exitCode === 0;
}

/** A tmpfs at an empty folder; undefined where this user may not mount one. */
function smallDisk(path: string, bytes: number, ...options: readonly string[]): SmallDisk | undefined {
  if (process.platform !== "linux") return undefined;
  const flags = [`size=${bytes}`, ...options].join(",");
  if (!mount("-t", "tmpfs", "-o", flags, "tmpfs", path)) return undefined;
  return {
    resize: (size) => expect(mount("-o", `remount,size=${size}`, path)).toBe(true),
    [Symbol.asyncDispose]: async () => {
      Bun.spawnSync(["umount", path]);
    },
  };
}

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const pair = ["--aligned", "aligned", "--tuned", "tuned"];
const smallShards = ["--max-shard-size", "4KB"];
const jobs = {
  prepare: ["prepare", "aligned", "--safe-data", "safe.jsonl", ...dataFlags],
  apply: ["apply", ...pair, "--state", "state"],
  "apply, shards": ["apply", ...pair, "--state", "state", ...smallShards],
  "apply, task data": ["apply", ...pair, "--state", "state", "--task-data", "task.jsonl", ...drawFlags],
  "apply, state on the way": ["apply", ...pair, "--safe-data", "safe.jsonl", ...dataFlags, ...smallShards],
  "apply, adapter": ["apply", "--aligned", "aligned", "--tuned", "adapter", "--state", "state", "--out-format", "lora"],
} as const;

/** What a planned run writes at most at one time. */
function neededBytes({ estimate, prepare }: { estimate: Sizes; prepare?: { estimate: Sizes } }): number {
  const sum = ({ outputBytes = 0, stateBytes = 0, workBytes }: Sizes) => outputBytes + stateBytes + workBytes;
  return sum(estimate) + (prepare ? sum(prepare.estimate) : 0);
}

interface Sizes {
  readonly outputBytes?: number;
  readonly stateBytes?: number;
  readonly workBytes: number;
}

/** Names that make a folder look like a finished state, model or adapter. */
const finished = ["state.json", "config.json", "adapter_config.json", "model.safetensors.index.json"];

const mayMount = await (async () => {
  await using probe = await scratchFolder();
  await using disk = smallDisk(probe.path, 4096);
  return disk !== undefined;
})();
const skipped = mayMount ? "" : " (skipped: this user may not mount a tmpfs)";

describe(`a small disk${skipped}`, () => {
  const onDisk = test.skipIf(!mayMount);

  for (const [name, args] of Object.entries(jobs)) {
    onDisk(`${name}: too small is told before the work, and nothing is written`, async () => {
      const folder = `small ${name}`;
      await mkdir(world.at(folder));
      await using _disk = smallDisk(world.at(folder), 4096);
      const { code, stdout, stderr } = await safedelta(world.path, [...args, "--out", `${folder}/out`]);
      expect({ code, stdout }).toEqual({ code: 5, stdout: "" });
      expect(stderr).toMatch(
        /error: \w+ needs [1-9][\d.]* [KM]iB of disk at .*but only [\d.]+ (B|KiB) are free\. Free some/,
      );
      expect(await readdir(world.at(folder))).toEqual([]);
    });

    onDisk(`${name}: full in the middle, then with room the same command ends with the same bytes`, async () => {
      const [folder, whole] = [`full ${name}`, `whole ${name}`];
      for (const path of [folder, whole]) await mkdir(world.at(path));
      await succeed(world.path, [...args, "--out", `${whole}/out`]);
      // Just as much as the check before the work asks for, which leaves no room for headers, journals and descriptions.
      const plan = await jsonOf(world.path, [...args, "--dry-run", "--out", `${folder}/out`]);
      await using disk = smallDisk(world.at(folder), Math.ceil(neededBytes(plan) / 4096) * 4096);
      const { code, stdout, stderr } = await safedelta(world.path, [...args, "--out", `${folder}/out`]);
      expect({ code, stdout, stderr }).toEqual({
        code: 5,
        stdout: "",
        stderr: expect.stringMatching(/error: .*no space left on the disk/),
      });
      const names = await readdir(world.at(folder), { recursive: true });
      expect(
        names.filter((path) => !path.includes(".safedelta-work") && finished.includes(path.split("/").at(-1) ?? "")),
      ).toEqual([]);
      disk?.resize(2 ** 22);
      await succeed(world.path, [...args, "--out", `${folder}/out`]);
      // The command records where it wrote, so the descriptions of two places differ in that.
      const undescribed = async (path: string) => {
        const all = Object.entries(await folderHashes(world.at(path, "out")));
        return all.filter(([name]) => !["README.md", "report.html", "safedelta.json"].includes(name));
      };
      expect(await undescribed(folder)).toEqual(await undescribed(whole));
      expect(await readdir(world.at(folder))).toEqual(["out"]);
    });
  }

  onDisk("data tiny: full in the middle is told as every command tells it", async () => {
    await mkdir(world.at("full-data"));
    await using _disk = smallDisk(world.at("full-data"), 8192);
    const { code, stderr } = await safedelta(world.path, ["data", "tiny", "--out", "full-data/family"]);
    expect({ code, stderr }).toEqual({
      code: 5,
      stderr: expect.stringMatching(/no space left on the disk\. Free some/),
    });
    expect(stderr).not.toContain("defect");
  });

  onDisk("sweep: room for one model of two is told before the work, and nothing is written", async () => {
    await mkdir(world.at("two"));
    const { estimate } = await jsonOf(world.path, [...jobs.apply, "--dry-run", "--out", "one"]);
    await using _disk = smallDisk(world.at("two"), Math.ceil((1.5 * neededBytes({ estimate })) / 4096) * 4096);
    const sweep = [
      "sweep",
      ...pair,
      "--state",
      "state",
      "--modes",
      "optimal",
      "--loss",
      "0.1,0.2",
      "--out",
      "two/models",
    ];
    const { code, stdout, stderr } = await safedelta(world.path, sweep);
    expect({ code, stdout }).toEqual({ code: 5, stdout: "" });
    expect(stderr).toMatch(/error: sweep needs [\d.]+ [KM]iB of disk at two\/models, but only/);
    expect(await readdir(world.at("two"))).toEqual([]);
  });

  onDisk("a read-only folder is a clear failure", async () => {
    await mkdir(world.at("read-only"));
    await using _disk = smallDisk(world.at("read-only"), 2 ** 22, "ro");
    for (const args of [jobs.prepare, jobs.apply, jobs["apply, adapter"]]) {
      const { code, stdout, stderr } = await safedelta(world.path, [...args, "--out", "read-only/out"]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(/error: read-only\/out.*read-only file system/i);
      expect(stderr).not.toMatch(/\n +at |defect/);
    }
  });
});

describe("places that cannot be written", () => {
  test("a file in the way", async () => {
    await Bun.write(world.at("file"), "x");
    for (const args of [jobs.prepare, jobs.apply, jobs["apply, adapter"]]) {
      const { code, stdout, stderr } = await safedelta(world.path, [...args, "--out", "file/out"]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(/error: file\/out.*not a directory/i);
      expect(stderr).not.toMatch(/\n +at |defect/);
    }
    expect(await Bun.file(world.at("file")).text()).toBe("x");
  });
});

describe("--max-memory below what is needed", () => {
  const sweep = ["sweep", ...pair, "--state", "state", "--loss", "0.1"];
  const { prepare, apply, "apply, state on the way": both, "apply, adapter": adapter } = jobs;
  for (const [name, args] of Object.entries({ prepare, apply, both, adapter, sweep })) {
    test.concurrent(`${name}: refused before the work, with what is needed`, async () => {
      const out = name === "sweep" ? [] : ["--out", `memory ${name}`];
      const { code, stdout, stderr } = await safedelta(world.path, [...args, ...out, "--max-memory", "100MiB"]);
      expect({ code, stdout }).toEqual({ code: 5, stdout: "" });
      expect(stderr).toMatch(/error: \w+ needs about [\d.]+ MiB of memory, more than --max-memory 100 MiB\. Raise it/);
      expect(await readdir(world.path)).not.toContain(`memory ${name}`);
    });
  }
});

test("a command that takes more than --max-memory after all is stopped, and told", async () => {
  const options = {
    json: false,
    quiet: true,
    verbose: false,
    color: false,
    selftest: true,
    engine: "wasm",
    maxMemory: process.memoryUsage.rss() + 2 ** 20,
  };
  const silent = { ...options, print() {}, document() {}, note() {}, progress: { stage() {}, step() {}, warn() {} } };
  const io = { ...silent, [Symbol.dispose]() {} };
  const ran = runInWorker({ command: "doctor", options, args: [], given: new Map() }, io);
  const error = await ran.catch((reason) => reason);
  expect(error.told).toEqual({
    code: 5,
    text: expect.stringMatching(/takes .* of memory, more than --max-memory .*\. Give more\.$/),
  });
});
