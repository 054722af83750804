import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { safedelta, startSafedelta, succeed } from "./run.ts";
import { dataFlags, makeWorld, type World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const pair = ["--aligned", "aligned", "--tuned", "tuned"];
const layerArgs = ["layer", "aligned/model.safetensors", "--out", "never", "-q"];

describe("streams", () => {
  test.concurrent("an error goes to stderr, in one line, and leaves stdout empty", async () => {
    const { code, stdout, stderr } = await safedelta(world.path, [...layerArgs, "--json"]);
    expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
    expect(stderr).toMatch(/^error: aligned\/model\.safetensors: has no tensor "aligned".*\n$/);
  });

  test.concurrent("--verbose adds the place in the program, and nothing else does", async () => {
    const { stderr } = await safedelta(world.path, [...layerArgs, "--verbose"]);
    expect(stderr).toMatch(/\n +at .*layer\.ts:\d+/);
  });

  test.concurrent("results go to stdout, remarks to stderr, and -q leaves the remarks out", async () => {
    const args = ["prepare", "aligned", "--safe-data", "safe.jsonl", ...dataFlags, "--out", "state4"];
    const { stdout, stderr } = await succeed(world.path, args);
    expect(stdout).toContain("prepared aligned");
    expect(stderr).toMatch(/engine: (native|wasm),/);
    for (const quiet of ["-q", "--quiet"]) {
      const silenced = await succeed(world.path, [...args.with(-1, `state4${quiet}`), quiet]);
      expect(silenced.stderr).toBe("");
      expect(silenced.stdout).toContain("prepared aligned");
    }
  });

  test.concurrent("-q keeps warnings", async () => {
    await Bun.write(world.at("tuned/chat_template.jinja"), "{{ messages[0].content }}");
    const { stderr } = await succeed(world.path, ["apply", ...pair, "--state", "state", "--out", "warned", "-q"]);
    expect(stderr).toBe("warning: The chat templates differ; the output takes the aligned model's.\n");
  });

  test.concurrent("what a file holds cannot command the terminal; a document has it as it is", async () => {
    const content = "\u001b]0;owned\u0007 \u202eback";
    await Bun.write(world.at("esc.jsonl"), JSON.stringify({ messages: [{ role: "user", content }] }));
    const { stdout } = await succeed(world.path, ["data", "show", "esc.jsonl"]);
    expect(stdout).toContain("\\u001b]0;owned\\u0007 \\u202eback");
    const { stderr } = await safedelta(world.path, ["data", "show", "no\u001b[2Jwhere"]);
    expect(stderr).toContain("no\\u001b[2Jwhere");
    const { examples } = JSON.parse((await succeed(world.path, ["data", "show", "esc.jsonl", "--json"])).stdout);
    expect(examples[0].messages[0].content).toBe(content);
  });

  test.concurrent("colours: never in a pipe, by FORCE_COLOR, not with NO_COLOR or --no-color", async () => {
    const errorOf = async (flags: readonly string[], env: Record<string, string>) =>
      (await safedelta(world.path, [...layerArgs, ...flags], { env })).stderr;
    const [esc, plain] = ["\u001b[", { NO_COLOR: "" }];
    expect(await errorOf([], plain)).not.toContain(esc);
    expect(await errorOf([], { ...plain, FORCE_COLOR: "1" })).toContain(`${esc}31merror:`);
    expect(await errorOf(["--no-color"], { ...plain, FORCE_COLOR: "1" })).not.toContain(esc);
    expect(await errorOf([], { NO_COLOR: "1" })).not.toContain(esc);
  });
});

describe("progress", () => {
  const drawn = /\d+% preparing/;
  /** stderr of a prepare on a terminal of `script`. */
  async function onTerminal(out: string, ...flags: readonly string[]): Promise<string> {
    const run = ["prepare", "aligned", "--safe-data", "safe.jsonl", ...dataFlags, "--out", out, ...flags];
    const child = startSafedelta(world.path, run, { terminal: true });
    const [text, code] = [await new Response(child.stdout).text(), await child.exited];
    expect({ code, text }).toEqual({ code: 0, text: expect.stringContaining("prepared aligned") });
    return text;
  }

  const noScript = Bun.which("script") === null || process.platform !== "linux";
  test.concurrent.skipIf(noScript)(
    `a bar on a terminal, none with --no-progress${noScript ? " (skipped: no `script` here)" : ""}`,
    async () => {
      expect(await onTerminal("bar")).toMatch(drawn);
      expect(await onTerminal("bare", "--no-progress")).not.toMatch(drawn);
      expect(await onTerminal("quiet", "-q")).not.toMatch(drawn);
    },
  );

  test.concurrent("no bar in a pipe", async () => {
    const args = ["prepare", "aligned", "--safe-data", "safe.jsonl", ...dataFlags, "--out", "piped"];
    expect((await succeed(world.path, args)).stderr).not.toMatch(drawn);
  });
});
