import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cp } from "node:fs/promises";
import { jsonOf, safedelta } from "./run.ts";
import { makeWorld, type World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makeWorld({ withState: false });
  for (const [name, text] of Object.entries(templates)) {
    await cp(world.at("aligned"), world.at(name), { recursive: true });
    await Bun.write(world.at(name, "chat_template.jinja"), text);
  }
  const line = {
    messages: [
      { role: "system", content: "be kind" },
      { role: "user", content: "say hello" },
      { role: "assistant", content: "hello" },
    ],
  };
  await Bun.write(world.at("own.jsonl"), `${JSON.stringify(line)}\n`);
});
afterAll(() => world[Symbol.asyncDispose]());

/** A template that does something of its own with a system message, and writes the other turns. */
const template = (system: string) =>
  `{% for m in messages %}{% if m.role == 'system' %}${system}{% else %}{{ m.content }} > {% endif %}{% endfor %}`;
const templates = {
  shows: template("{{ m.content }} > "),
  drops: template(""),
  refuses: template("{{ raise_exception('System role not supported') }}"), // as Gemma's does
};

const prepare = (model: string, file: string, prompts: string) => [
  "prepare",
  model,
  "--safe-data",
  file,
  "--system-prompts",
  prompts,
  "--out",
  "x",
  "--dry-run",
];
const factsOf = async (...args: Parameters<typeof prepare>) => (await jsonOf(world.path, prepare(...args))).safeData;

describe("--system-prompts", () => {
  test.concurrent("auto puts the official ones where the template shows them", async () => {
    const [auto, none] = [await factsOf("shows", "safe.jsonl", "auto"), await factsOf("shows", "safe.jsonl", "none")];
    expect([auto.systemPrompts, none.systemPrompts]).toEqual(["official", "none"]);
    expect(auto.nTokens).toBeGreaterThan(none.nTokens);
    expect((await factsOf("shows", "safe.jsonl", "official")).tokensSha256).toBe(auto.tokensSha256);
  });

  const reasons = {
    drops: ["safe.jsonl", "this model's chat template shows no system message"],
    refuses: [
      "safe.jsonl",
      "this model's chat template refuses a system message (The chat template does not take these messages: System role not supported)",
    ],
    shows: ["own.jsonl", "own.jsonl has system messages of its own"],
  } as const;
  for (const [model, [file, why]] of Object.entries(reasons)) {
    test.concurrent(`auto means none, and official is refused, where ${why}`, async () => {
      expect((await factsOf(model, file, "auto")).systemPrompts).toBe("none");
      const { code, stderr } = await safedelta(world.path, prepare(model, file, "official"));
      expect(code).toBe(2);
      expect(stderr).toEndWith(
        `error: --system-prompts official cannot be applied: ${why}. Use --system-prompts none.\n`,
      );
    });
  }

  test.concurrent("data with system messages are no use to a template that refuses them", async () => {
    const { code, stderr } = await safedelta(world.path, prepare("refuses", "own.jsonl", "auto"));
    expect(code).toBe(4);
    expect(stderr).toMatch(/^error: own\.jsonl: The chat template does not take these messages: System role/m);
  });
});
