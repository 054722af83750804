import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { scratchFolder, tinyFolder } from "../support/pico.ts";
import { inTurn, jsonOf, safedelta, succeed } from "./run.ts";

setDefaultTimeout(300_000); // children wait for their turn

let scratch: Awaited<ReturnType<typeof scratchFolder>>;
beforeAll(async () => {
  scratch = await scratchFolder();
});
afterAll(() => scratch[Symbol.asyncDispose]());

const model = join(tinyFolder, "tuned");
const root = join(import.meta.dir, "../..");

describe("chat", () => {
  test.concurrent("a last line without a line break is a turn like any other", async () => {
    const args = ["chat", model, "--max-new-tokens", "4"];
    const [torn, whole] = await Promise.all(
      ["say hello", "say hello\n"].map((stdin) => jsonOf(scratch.path, args, { stdin })),
    );
    expect(torn.messages).toHaveLength(2);
    expect(torn).toEqual(whole);
  });

  test.concurrent("a conversation that fills the model's positions is told, its last line dropped, and /new goes on", async () => {
    const long = Array(70).fill("hello").join(" ");
    const stdin = `say hello\n${long}\nsay hello\n/new\n${long}\n\n`;
    const args = ["chat", model, "--max-new-tokens", "4"];
    const { stderr } = await succeed(scratch.path, args, { stdin });
    expect(stderr.match(/tokens leave no room for an answer: the model has 64 positions\. .*\/new/g)).toHaveLength(2);
    const { messages } = await jsonOf(scratch.path, args, { stdin: `say hello\n${long}\n` });
    expect(messages).toHaveLength(2);
  });
});

test.concurrent("what a model says cannot command the terminal", async () => {
  const saying = ["--max-new-tokens", "4"];
  const { answer } = await jsonOf(scratch.path, ["generate", model, "--prompt", "say hello", ...saying]);
  await cp(model, join(scratch.path, "evil"), { recursive: true });
  const file = Bun.file(join(scratch.path, "evil", "tokenizer.json"));
  const tokenizer = await file.json();
  const [word] = answer.split(" ").filter((one: string) => one !== "say" && one !== "hello");
  const { [word]: id, ...others } = tokenizer.model.vocab;
  tokenizer.model.vocab = { ...others, "\u001b[2J": id };
  await Bun.write(file, JSON.stringify(tokenizer));
  const runs = [
    succeed(scratch.path, ["generate", "evil", "--prompt", "say hello", ...saying]),
    succeed(scratch.path, ["chat", "evil", ...saying], { stdin: "say hello\n" }),
  ];
  for (const { stdout } of await Promise.all(runs)) {
    expect(stdout).toContain("\\u001b[2J");
    expect(stdout).not.toContain("\u001b");
  }
});

describe("generate", () => {
  const refused: Record<string, readonly [args: readonly string[], says: RegExp]> = {
    "no token": [["--max-new-tokens", "0"], /--max-new-tokens/],
    "a temperature below 0": [["--temperature", "-1"], /--temperature is -1/],
    "--top-k without --temperature": [["--top-k", "4"], /--top-k: without effect/],
    "--top-p without --temperature": [["--top-p", "0.5"], /--top-p: without effect/],
    "--top-k with a temperature of 0": [["--top-k", "4", "--temperature", "0"], /--top-k: without effect/],
    "--top-k of 0": [["--top-k", "0", "--temperature", "1"], /--top-k is 0/],
    "--top-p above 1": [["--top-p", "1.5", "--temperature", "1"], /--top-p is 1\.5/],
    "--system with a template that shows none": [
      ["--system", "x"],
      /--system: .*chat template shows no system message/,
    ],
    "--seed without --temperature": [["--seed", "3"], /--seed: without effect.*--temperature/],
    "--system beside --raw": [["--raw", "--system", "x"], /--system: without effect beside --raw/],
    "a prompt of more tokens than positions": [["--raw", ...["--prompt", "hello ".repeat(70)]], /64 positions/],
  };
  for (const [what, [args, says]] of Object.entries(refused)) {
    test.concurrent(`${what} is refused`, async () => {
      const prompt = args.includes("--prompt") ? [] : ["--prompt", "say hello"];
      const { code, stdout, stderr } = await safedelta(scratch.path, ["generate", model, ...prompt, ...args]);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(says);
      expect(stderr).not.toContain("    at ");
    });
  }
});

describe("a run that is ended from outside", () => {
  test.concurrent("a reader that has seen enough: no words, the code of SIGPIPE", async () => {
    const line = `'${process.execPath}' '${join(root, "scripts/start.ts")}' cli/src/main.ts inspect '${model}'`;
    const script = `set -o pipefail; (${line}; echo "code $?" >&2) | true`;
    const child = await inTurn(async () => {
      const shell = Bun.spawn(["bash", "-c", script], { cwd: scratch.path, stdout: "pipe", stderr: "pipe" });
      await shell.exited;
      return shell;
    });
    expect(await new Response(child.stderr).text()).toBe("code 141\n");
  });

  const noFull = !existsSync("/dev/full");
  test.concurrent.skipIf(noFull)(
    `a full disk is told in one line${noFull ? " (skipped: no /dev/full)" : ""}`,
    async () => {
      const words = [process.execPath, join(root, "scripts/start.ts"), "cli/src/main.ts", "inspect", model];
      const { code, stderr } = await inTurn(async () => {
        const child = Bun.spawn(words, { cwd: scratch.path, stdout: Bun.file("/dev/full"), stderr: "pipe" });
        return { code: await child.exited, stderr: await new Response(child.stderr).text() };
      });
      expect({ code, stderr }).toEqual({
        code: 5,
        stderr: expect.stringMatching(/^error: .*stdout: .*no space left.*\n$/),
      });
    },
  );

  const cannotGoOn: Record<string, readonly [args: readonly string[], underWay: string]> = {
    chat: [["chat", model], "is ready"],
    demo: [["demo", "--out", "demo"], "engine:"],
  };
  for (const [name, [args, underWay]] of Object.entries(cannotGoOn)) {
    test.concurrent(`Ctrl-C in ${name}, which cannot go on, does not say that it will`, async () => {
      const words = [process.execPath, join(root, "scripts/start.ts"), "cli/src/main.ts", ...args];
      const child = Bun.spawn(words, { cwd: scratch.path, stdin: "pipe", stdout: "pipe", stderr: "pipe" });
      let text = "";
      let killed = false;
      const decoder = new TextDecoder();
      for await (const bytes of child.stderr) {
        text += decoder.decode(bytes, { stream: true });
        if (!killed && text.includes(underWay)) killed = child.kill("SIGINT") === undefined;
      }
      expect({ code: await child.exited, text }).toEqual({
        code: 130,
        text: expect.stringMatching(/\ninterrupted\n$/),
      });
    });
  }
});
