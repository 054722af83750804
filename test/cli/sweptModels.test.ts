/** The models that a sweep writes: after an interruption the same command goes on with those that are not finished. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cp, rm, stat } from "node:fs/promises";
import { folderHashes, writePico } from "../support/pico.ts";
import { jsonOf, safedelta, succeed } from "./run.ts";
import { makeWorld, type World } from "./world.ts";

setDefaultTimeout(60_000); // children wait for their turn

const args = ["sweep", "--aligned", "aligned", "--tuned", "tuned", "--state", "state", "--modes", "optimal"];
const both = [...args, "--loss", "0.1,0.2", "--out", "models"];
const [kept, lost] = ["models/optimal-loss-0.1", "models/optimal-loss-0.2"];

let world: World;
beforeAll(async () => {
  world = await makeWorld();
  await succeed(world.path, both);
});
afterAll(() => world[Symbol.asyncDispose]());

test("a finished model is taken as it is, the other one is made", async () => {
  const before = await folderHashes(world.at("models"));
  const { mtimeMs } = await stat(world.at(kept, "model.safetensors"));
  await rm(world.at(lost), { recursive: true });
  const { stderr } = await succeed(world.path, both);
  expect(stderr).toContain(`whole already: ${kept}\nwritten: ${lost}\n`);
  expect((await stat(world.at(kept, "model.safetensors"))).mtimeMs).toBe(mtimeMs);
  expect(await folderHashes(world.at("models"))).toEqual(before);
  const { points } = await jsonOf(world.path, both);
  expect(points.map(({ out }: { out: string }) => out)).toEqual([kept, lost]);
});

const changes: Readonly<Record<string, () => Promise<unknown>>> = {
  "was edited": async () => {
    const file = Bun.file(world.at(kept, "config.json"));
    await Bun.write(file, `${await file.text()}\n`);
  },
  "has another tensor": async () => {
    const file = Bun.file(world.at(kept, "model.safetensors"));
    const bytes = await file.bytes();
    bytes[bytes.length - 1] ^= 1;
    await Bun.write(file, bytes);
  },
  "is of a tuned model that is another now": () =>
    writePico(world.at("tuned"), { seed: 1, dtype: "F32", delta: { seed: 3, size: 0.02 } }),
};
for (const [what, change] of Object.entries(changes)) {
  test(`a finished model that ${what} is refused as apply does, before any work`, async () => {
    await using _copies = await keepCopies();
    await change();
    const { code, stdout, stderr } = await safedelta(world.path, both);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(`${kept}: a finished repaired model is there already.`);
  });
}

test("so is one of another recipe, and --overwrite makes all again", async () => {
  const other = await safedelta(world.path, [...both, "--aligned", "./aligned"].toSpliced(1, 2));
  expect(other).toMatchObject({ code: 2, stderr: expect.stringContaining("is there already") });
  expect((await succeed(world.path, [...both, "--overwrite"])).stderr).toContain(`written: ${kept}\n`);
});

/** Put back, at the end, what a test changes. */
async function keepCopies() {
  const names = ["models", "tuned"];
  for (const name of names) await cp(world.at(name), world.at(`${name}.copy`), { recursive: true });
  const restore = async (name: string) => {
    await rm(world.at(name), { recursive: true });
    await cp(world.at(`${name}.copy`), world.at(name), { recursive: true });
    await rm(world.at(`${name}.copy`), { recursive: true });
  };
  return { [Symbol.asyncDispose]: async () => void (await Promise.all(names.map(restore))) };
}
