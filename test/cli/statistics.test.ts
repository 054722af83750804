/** Which tokens the statistics count and how they are damped, from the flags of prepare to the report of a repair. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { safedelta, succeed } from "./run.ts";
import { makeWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await makeWorld({ withState: false });
}, 60_000);
afterAll(() => world[Symbol.asyncDispose]());

const prepare = ["prepare", "aligned", "--safe-data", "safe.jsonl", "--max-tokens", "64", "--system-prompts", "none"];

describe("the flags", () => {
  test.each([
    ["--skip-tokens", "first", /--skip-tokens.*must be a whole number or shared/],
    ["--skip-tokens", "-1", /--skip-tokens/],
    ["--skip-tokens", "1.5", /--skip-tokens/],
    ["--key-weight", "0", /--key-weight 0 must lie between 0\.000001 and 1000000/],
    ["--damping", "0", /--damping 0 must lie between/],
    ["--damping", "1e37", /--damping 1e\+37 must lie between/],
    ["--skip-tokens", "60", /safe\.jsonl.*the first 60 are left out.*smaller number/s],
  ])("%s %s are refused", async (flag, value, told) => {
    const { code, stderr } = await safedelta(world.path, [...prepare, "--out", "refused", `${flag}=${value}`]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(told) });
  });
});

test("a state, its inspection and the report of a repair tell what was counted", async () => {
  const flags = ["--skip-tokens", "1", "--key-weight", "5", "--damping", "0.03"];
  const { stderr } = await succeed(world.path, [...prepare, "--out", "state", ...flags]);
  expect(stderr).toContain("the first 1 of each left out, key tokens 5 times");
  expect((await succeed(world.path, ["inspect", "state"])).stdout).toContain("damping: 0.03 of the mean diagonal");
  const pair = ["--aligned", "aligned", "--tuned", "tuned", "--state", "state"];
  await succeed(world.path, ["apply", ...pair, "--task-data", "safe.jsonl", "--max-tokens", "64", "--out", "out"]);
  const { safeData, taskData, state, command } = await Bun.file(world.at("out", "safedelta.json")).json();
  expect(safeData).toMatchObject({ nSkipped: 1, keyWeight: 5 });
  expect(taskData).toMatchObject({ nSkipped: 1 });
  expect(taskData).not.toHaveProperty("keyWeight");
  expect(state.damping).toBe(0.03);
  const card = await Bun.file(world.at("out", "README.md")).text();
  expect(card).toContain("the first 1 of each left out, key tokens 5 times");
  // The command of the report makes the very same state.
  const [again] = command.split("\n");
  expect(again).toContain("--skip-tokens 1 --key-weight 5 --damping 0.03");
  const words = again.split(" ").slice(3);
  expect((await succeed(world.path, words)).stdout).toContain("is there already");
}, 60_000);

describe("apply --safe-data", () => {
  const pair = ["--aligned", "aligned", "--tuned", "tuned"];
  const data = ["--task-data", "safe.jsonl", "--max-tokens", "64"];
  const flags = ["--skip-tokens", "shared", "--key-weight", "5", "--damping", "0.03"];

  test("counts and damps as prepare does with the same flags: the same weights, and a recipe that gives them again", async () => {
    await succeed(world.path, [...prepare, "--out", "shared", ...flags]);
    await succeed(world.path, ["apply", ...pair, ...data, "--state", "shared", "--out", "by-state"]);
    const safe = ["--safe-data", "safe.jsonl", "--system-prompts", "none"];
    await succeed(world.path, ["apply", ...pair, ...data, ...safe, ...flags, "--out", "on-the-way"]);
    const [byState, onTheWay] = await Promise.all(
      ["by-state", "on-the-way"].map((out) => Bun.file(world.at(out, "safedelta.json")).json()),
    );
    expect(onTheWay.tensors).toEqual(byState.tensors);
    expect(onTheWay.safeData).toEqual(byState.safeData);
    expect(onTheWay.state.damping).toBe(0.03);
    expect(onTheWay.recipe).toMatchObject({ "skip-tokens": "shared", "key-weight": 5, damping: 0.03 });
    await succeed(world.path, [...onTheWay.command.split(" ").slice(3), "--overwrite"]);
    expect((await Bun.file(world.at("on-the-way", "safedelta.json")).json()).tensors).toEqual(byState.tensors);
  }, 60_000);

  test.each(["--skip-tokens=1", "--key-weight=5", "--damping=0.03"])("%s beside a state is refused", async (flag) => {
    const { code, stderr } = await safedelta(world.path, ["apply", ...pair, "--state", "state", flag, "--out", "no"]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("without effect beside --state") });
  });
});
