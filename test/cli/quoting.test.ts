import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { rename } from "node:fs/promises";
import { safedelta, succeed } from "./run.ts";
import { dataFlags, makeWorld, type World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makeWorld({ withState: false });
  await rename(world.at("aligned"), world.at("my $HOME's model"));
});
afterAll(() => world[Symbol.asyncDispose]());

/** The words that a shell makes of a line. */
function shellWords(line: string): string[] {
  const { stdout } = Bun.spawnSync(["sh", "-c", `printf '%s\\n' ${line}`]);
  return stdout.toString().trimEnd().split("\n");
}

/** Run a printed `bun run safedelta …` (or `npx -y bun@… run safedelta …`) line with a model and a place of the user's own. */
async function runPrinted(line: string, own: Readonly<Record<string, string>> = {}) {
  const all = shellWords(line);
  const first = all.indexOf("safedelta") + 1;
  expect(all.slice(0, first).join(" ")).toMatch(/^(npx -y bun@[\d.]+|bun) run safedelta$/);
  const words = all.slice(first);
  return safedelta(
    world.path,
    words.map((word) => own[word] ?? word),
  );
}

describe("printed commands can be typed back, whatever the paths hold", () => {
  test("what prepare says is next, and the commands that a repaired model records", async () => {
    const args = ["prepare", "my $HOME's model", "--safe-data", "safe.jsonl", ...dataFlags, "--out", "my; state"];
    const { stdout } = await succeed(world.path, args);
    const next = /^next: (.*)$/m.exec(stdout)?.[1] ?? "";
    expect(await runPrinted(next, { TUNED: "tuned", REPAIRED: "my *repaired*" })).toMatchObject({ code: 0 });
    const { command } = await Bun.file(world.at("my *repaired*/safedelta.json")).json();
    const lines: string[] = command.split("\n");
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(await runPrinted(`${line} --overwrite`)).toMatchObject({ code: 0 });
  });
});
