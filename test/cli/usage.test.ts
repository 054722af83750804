import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, symlink } from "node:fs/promises";
import { folderHashes } from "../support/pico.ts";
import { safedelta } from "./run.ts";
import { dataFlags, makeWorld, type World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makeWorld();
  await Bun.write(world.at("foreign/thesis.txt"), "mine");
  await mkdir(world.at("empty"));
  await symlink(world.at("tuned"), world.at("link-to-tuned"));
  await symlink(world.at("nowhere"), world.at("dead-link"));
  await Bun.write(world.at("unknown.yaml"), "lss: 0.1\n");
  await Bun.write(world.at("list.yaml"), "- loss\n");
  await Bun.write(world.at("torn.yaml"), "loss: [0.1\n");
  await Bun.write(world.at("two.yaml"), "loss: 0.1\nscale: 1\n");
  await Bun.write(world.at("idle.yaml"), "state: state\nsamples: 5\n");
  await Bun.write(world.at("damaged.jsonl"), '{"messages": [}\n');
  await Bun.write(world.at("nothing.jsonl"), "");
});
afterAll(() => world[Symbol.asyncDispose]());

const pair = ["--aligned", "aligned", "--tuned", "tuned"];
const apply = ["apply", ...pair, "--state", "state", "--out", "out"];
const prepare = ["prepare", "aligned", "--safe-data", "safe.jsonl", ...dataFlags];
const into = (out: string, ...flags: readonly string[]) => [
  "apply",
  ...pair,
  "--state",
  "state",
  "--out",
  out,
  ...flags,
];

/** Command lines that are wrong, and what the answer must say. */
const wrong: Readonly<Record<string, readonly [readonly string[], RegExp]>> = {
  "unknown command": [["aply"], /^error: .*did you mean `apply`/m],
  "unknown flag": [["apply", "--aligend", "x"], /^error: .*did you mean --aligned/m],
  "unknown flag of another command": [["inspect", "aligned", "--loss", "1"], /--loss/],
  "missing argument": [["inspect"], /PATH/],
  "one argument too many": [["inspect", "aligned", "tuned"], /Too many arguments/],
  "flag without its value": [["apply", "--loss"], /--loss/],
  "missing --out": [["apply", ...pair, "--state", "state"], /--out is missing/],
  "missing --state and --safe-data": [["apply", ...pair, "--out", "x"], /--state \(or --safe-data/],
  "both --state and --safe-data": [[...apply, "--safe-data", "safe.jsonl"], /--state or --safe-data, not both/],
  "a sample of safe data that are not read": [
    [...apply, "--samples", "5", "--seed", "1"],
    /--samples, --seed: without effect beside --state/,
  ],
  "system prompts for safe data that are not read": [
    [...apply, "--task-data", "task.jsonl", "--samples", "5", "--system-prompts", "none"],
    /--system-prompts: without effect beside --state/,
  ],
  "the same in a recipe": [
    [...apply.slice(0, -4), "--out", "out", "--recipe", "idle.yaml"],
    /idle\.yaml: samples: without/,
  ],
  "--linears without --json": [
    ["sweep", ...pair, "--state", "state", "--loss", "0.1", "--linears"],
    /--linears needs --json/,
  ],
  "--overwrite of nothing": [
    ["sweep", ...pair, "--state", "state", "--loss", "0.1", "--overwrite"],
    /--overwrite needs --out/,
  ],
  "two budgets": [[...apply, "--loss", "0.1", "--strength", "2"], /--loss and --strength/],
  "a word for a number": [[...apply, "--loss", "much"], /--loss: .*number/],
  "no number for a number, quoted": [[...apply, "--strength", "abc"], /--strength: "abc" is not a finite number/],
  "Infinity for a number": [[...apply, "--strength", "Infinity"], /--strength: "Infinity" is not a finite number/],
  "a list of nothing": [["sweep", ...pair, "--state", "state", "--loss", ","], /--loss: "," must be .* but "" is none/],
  "a list that ends in a comma": [
    ["sweep", ...pair, "--state", "state", "--loss", "0.1,"],
    /--loss: "0\.1," must be finite numbers/,
  ],
  "an empty --out": [into(""), /--out: must name a file or folder, but is empty/],
  "a blank --out": [into("  "), /--out: .*empty/],
  "an empty --aligned": [
    ["apply", "--aligned", "", "--tuned", "tuned", "--state", "state", "--out", "x"],
    /--aligned: /,
  ],
  "an empty --state": [["apply", ...pair, "--state", "", "--out", "x"], /--state: .*empty/],
  "an empty --safe-data": [["prepare", "aligned", "--safe-data", "", "--out", "x"], /--safe-data: .*empty/],
  "an empty --out of sweep": [["sweep", ...pair, "--state", "state", "--loss", "0.1", "--out", ""], /--out: .*empty/],
  "an empty --out of layer": [["layer", "linear.safetensors", "--out", ""], /--out: .*empty/],
  "an empty argument": [["inspect", ""], /PATH is empty/],
  "out is a file": [into("safe.jsonl", "--overwrite"), /--out: safe\.jsonl is a file; name a folder/],
  "out of prepare is a file": [[...prepare, "--out", "safe.jsonl"], /--out: safe\.jsonl is a file/],
  "out of sweep is a file": [
    ["sweep", ...pair, "--state", "state", "--loss", "0.1", "--out", "safe.jsonl"],
    /--out: safe\.jsonl is a file/,
  ],
  "nothing for a number": [[...apply, "--loss="], /--loss/],
  "a broken number": [["estimate", "aligned", "--samples", "1.5"], /--samples: must be a whole number, but is 1.5/],
  "a negative number": [[...prepare, "--seed", "-1", "--out", "x"], /--seed/],
  "a share above 1": [[...apply, "--global-loss", "1.5"], /--global-loss must lie in 0 … 1, but is 1\.5/],
  "a strength below 0": [[...apply, "--strength", "-1"], /--strength must be 0 or more, but is -1/],
  "a dial of another mode": [
    [...apply, "--mode", "reference", "--strength", "1"],
    /--mode reference does not take --strength\. Give one of: --loss, --scale\./,
  ],
  "a dial of another mode, of layer": [
    ["layer", "linear.safetensors", "--out", "x", "--keep", "0.5"],
    /--mode optimal does not take --keep\. Give one of: --loss, --strength\./,
  ],
  "an unknown mode": [[...apply, "--mode", "best"], /--mode: must be one of optimal, exact, .*but is "best"/],
  "an unknown engine": [[...apply, "--engine", "gpu"], /--engine: .*wasm/],
  "an unknown mode in a list": [[...prepare, "--modes", "optimal,best", "--out", "x"], /"best" is no mode/],
  "a broken size": [[...apply, "--max-memory", "lots"], /"lots" is not a size/],
  "--task-data with another mode": [
    [...apply, "--mode", "exact", "--task-data", "task.jsonl"],
    /--task-data works with --mode optimal/,
  ],
  "--task-data with a pool": [[...apply, "--global-loss", "0.1", "--task-data", "task.jsonl"], /--loss or --strength/],
  "a sweep without budgets": [["sweep", ...pair, "--state", "state"], /at least one budget/],
  "a sweep with a budget out of range": [
    ["sweep", ...pair, "--state", "state", "--global-loss", "2"],
    /--global-loss must lie in 0 … 1/,
  ],
  "a sweep's budget that no mode has": [
    ["sweep", ...pair, "--state", "state", "--modes", "paper", "--global-loss", "1"],
    /None of the modes paper takes --global-loss\./,
  ],
  "a sweep's mode without a budget": [
    ["sweep", ...pair, "--state", "state", "--modes", "exact,paper", "--keep", "0.5"],
    /paper has none/,
  ],
  "a sweep's list with a word": [
    ["sweep", ...pair, "--state", "state", "--loss", "0.1,x"],
    /--loss: .*separated by commas/,
  ],
  "unknown recipe key": [[...apply, "--recipe", "unknown.yaml"], /unknown key "lss"\. Did you mean "loss"\?$/m],
  "a recipe that is no table": [[...apply, "--recipe", "list.yaml"], /list\.yaml: a recipe is a table/],
  "a recipe that is no YAML": [[...apply, "--recipe", "torn.yaml"], /torn\.yaml: /],
  "a recipe that is not there": [[...apply, "--recipe", "gone.yaml"], /gone\.yaml/],
  "two budgets in a recipe": [[...apply, "--recipe", "two.yaml"], /--loss and --scale/],
  "data that are not there": [["prepare", "aligned", "--safe-data", "gone.jsonl", "--out", "x"], /gone\.jsonl/],
  "damaged data": [["prepare", "aligned", "--safe-data", "damaged.jsonl", "--out", "x"], /damaged\.jsonl:1: /],
  "data without an example": [["prepare", "aligned", "--safe-data", "nothing.jsonl", "--out", "x"], /nothing\.jsonl/],
  "an unknown command for schema": [["schema", "aply"], /"aply" is no command/],
  "out is the tuned model": [into("tuned", "--overwrite"), /tuned: is an input/],
  "out is the aligned model, spelled otherwise": [into("./empty/../aligned/", "--overwrite"), /is an input/],
  "out lies in an input": [into("tuned/out"), /tuned\/out: lies in .*tuned, an input/],
  "out is a link to nothing": [into("dead-link"), /dead-link: is a link to nothing/],
  "out is a link to an input": [into("link-to-tuned", "--overwrite"), /is an input/],
  "out is the base of an adapter": [
    ["apply", "--aligned", "aligned", "--tuned", "tuned+adapter", "--state", "state", "--out", "tuned", "--overwrite"],
    /is an input/,
  ],
  "out is the state": [into("state", "--overwrite"), /state: is not empty/],
  "out holds something else": [
    into("foreign", "--overwrite"),
    /foreign: is not empty and holds no repaired model, so it is never replaced/,
  ],
  "prepare into something else": [
    [...prepare, "--out", "foreign", "--overwrite"],
    /foreign: is not empty and was not made by prepare/,
  ],
  "prepare over another state": [
    [...prepare, "--out", "state", "--seed", "7"],
    /state: holds a state of seed 42 instead of 7.*--overwrite/,
  ],
};

describe("exit code 2, one clear message, and nothing touched", () => {
  for (const [what, [args, message]] of Object.entries(wrong)) {
    test.concurrent(what, async () => {
      const { code, stdout, stderr } = await safedelta(world.path, args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(message);
      expect(stderr).not.toMatch(/\n +at |defect/);
    });
  }

  test("no folder came up or changed", async () => {
    const names = Object.keys(await folderHashes(world.path));
    expect(names.filter((name) => /^(x|out|empty)\b/.test(name))).toEqual([]);
    expect(await Bun.file(world.at("foreign/thesis.txt")).text()).toBe("mine");
  });
});
