/** verify finds what was changed in a fine-tuned model or adapter. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cp, rm } from "node:fs/promises";
import { safedelta, succeed } from "./run.ts";
import { makeWorld, type World } from "./world.ts";

setDefaultTimeout(60_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makeWorld();
  await cp(world.at("aligned"), world.at("mine"), { recursive: true });
  const tune = ["finetune", "mine", "--data", "task.jsonl", "--max-updates", "1"];
  await succeed(world.path, [...tune, "--out", "full"]);
  await succeed(world.path, [...tune, "--lora-rank", "2", "--out", "adapter2"]);
});
afterAll(() => world[Symbol.asyncDispose]());

async function verify(folder: string, ...flags: string[]) {
  const { code, stdout } = await safedelta(world.path, ["verify", folder, ...flags, "--json"]);
  return { code, told: JSON.parse(stdout) };
}

describe.each(["full", "adapter2"])("verify %s", (out) => {
  test("finds nothing wrong in what was written, and looks at the model it was trained from", async () => {
    expect(await verify(out)).toMatchObject({ code: 0, told: { ok: true, inputsChecked: true, problems: [] } });
  });

  const weights = out === "full" ? "model.safetensors" : "adapter_model.safetensors";
  const config = out === "full" ? "config.json" : "adapter_config.json";
  const harms: readonly [string, (at: (name: string) => string) => Promise<unknown>, RegExp][] = [
    ["a weight", (at) => flipLast(at(weights)), /was changed after it was written/],
    ["a config", (at) => appended(at(config)), new RegExp(`${config} was changed`)],
    ["a missing plot", (at) => rm(at("loss.svg")), /loss.svg is missing/],
    ["code beside it", (at) => Bun.write(at("modeling.py"), ""), /modeling.py is not in training.json/],
  ];
  test.each(harms)("finds %s", async (what, harm, message) => {
    const copy = `${out}-${what.replaceAll(" ", "-")}`;
    await cp(world.at(out), world.at(copy), { recursive: true });
    await harm((name) => world.at(copy, name));
    const { code, told } = await verify(copy);
    expect({ code, ok: told.ok }).toEqual({ code: 1, ok: false });
    expect(told.problems.join()).toMatch(message);
  });
});

test("an edited card is told only; a model that changed since is a problem, one that is away is told; a state is refused", async () => {
  await appended(world.at("full", "README.md"));
  expect(await verify("full")).toMatchObject({ code: 0, told: { notes: [expect.stringContaining("README.md")] } });
  await flipLast(world.at("mine", "model.safetensors"));
  const changed = await verify("full");
  expect(changed).toMatchObject({ code: 1, told: { problems: [expect.stringContaining("has changed since")] } });
  await rm(world.at("mine"), { recursive: true });
  expect(await verify("full")).toMatchObject({ code: 0, told: { inputsChecked: false } });
  const refused = await safedelta(world.path, ["verify", "full", "--state", "state"]);
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("which has no state") });
});

async function flipLast(path: string): Promise<void> {
  const bytes = await Bun.file(path).bytes();
  bytes[bytes.length - 1] ^= 1;
  await Bun.write(path, bytes);
}

async function appended(path: string): Promise<void> {
  await Bun.write(path, `${await Bun.file(path).text()}\n`);
}
