import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { encode, writeSafetensors } from "@safedelta/checkpoint";
import { type PicoOptions, writePico } from "../support/pico.ts";
import { endOf, inTurn, startSafedelta } from "./run.ts";
import { dataFlags, makeWorld, type World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

const noScript = Bun.which("script") === null || process.platform !== "linux";
const reason = noScript ? " (skipped: no `script` here)" : "";

let world: World;
beforeAll(async () => {
  world = await makeWorld({ withState: false });
  await writePico(world.at("long"), { seed: 1, config: { num_hidden_layers: 100 } });
  await writePico(world.at("damaged"), { seed: 1, change: spoilLastLayer });
});
afterAll(() => world[Symbol.asyncDispose]());

/** Finite weights whose products are not, which a run meets only after its bar has been drawn. */
const spoilLastLayer: PicoOptions["change"] = (tensors) => {
  const tensor = tensors.get("model.layers.1.self_attn.v_proj.weight");
  if (tensor === undefined) throw new Error("the pico model has no such tensor");
  tensor.bytes.set(encode(new Float32Array(tensor.bytes.length / 4).fill(3e38), "F32"));
};

function prepare(model: string, out: string, ...flags: readonly string[]): string[] {
  return ["prepare", model, "--safe-data", "safe.jsonl", ...dataFlags, "--out", out, ...flags];
}

/** Whether line wrap is off (what a bar does) after this has been written. */
function wrapIsOff(text: string): boolean {
  return text.lastIndexOf("\u001b[?7l") > text.lastIndexOf("\u001b[?7h");
}

/** Run a command that draws a bar on a terminal, and send it a signal once the bar is there. */
async function signalled(args: readonly string[], signal: "INT" | "TERM"): Promise<{ code: number; text: string }> {
  const main = join(import.meta.dir, "../../scripts/start.ts");
  const words = [process.execPath, main, "cli/src/main.ts", ...args].map((word) => `'${word}'`).join(" ");
  const { CI: _, ...env } = process.env;
  const child = Bun.spawn(["script", "--quiet", "--return", "--command", `echo "pid $$"; exec ${words}`, "/dev/null"], {
    cwd: world.path,
    env,
    stdin: new Blob([""]),
    stdout: "pipe",
    stderr: "inherit",
  });
  let [text, sent] = ["", false];
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (sent || !text.includes("% preparing")) continue;
    sent = true;
    expect(wrapIsOff(text)).toBe(true);
    process.kill(Number(/pid (\d+)/.exec(text)?.[1]), `SIG${signal}`);
  }
  return { code: await child.exited, text };
}

describe.skipIf(noScript)(`a terminal after a bar that did not come to its end${reason}`, () => {
  test.concurrent("an error ends the bar, then the process", async () => {
    const { code, stdout } = await inTurn(() =>
      endOf(startSafedelta(world.path, prepare("damaged", "never"), { terminal: true })),
    );
    expect({ code, stdout }).toEqual({
      code: 4,
      stdout: expect.stringMatching(/% preparing[\s\S]*error: damaged, layer 1 .*\r\n$/),
    });
    expect(wrapIsOff(stdout)).toBe(false);
  });

  for (const [signal, code] of [
    ["INT", 130],
    ["TERM", 143],
  ] as const) {
    test.concurrent(`SIG${signal} gives line wrap and cursor back`, async () => {
      const run = await inTurn(() => signalled(prepare("long", signal, "--engine", "reference"), signal));
      expect(run.code).toBe(code);
      expect(wrapIsOff(run.text)).toBe(false);
    });
  }
});

test("Ctrl-C ends a command in the middle of a call that takes minutes", async () => {
  const n = 4000;
  const ones = (name: string, rows: number, value: (i: number) => number) => {
    const values = Float32Array.from({ length: rows * n }, (_, i) => value(i));
    return { name, dtype: "F32", shape: [rows, n], bytes: encode(values, "F32") } as const;
  };
  const hessian = ones("hessian", n, (i) => (i % (n + 1) === 0 ? 2 : 1 / n));
  const tensors = [ones("aligned", 2, () => 0), ones("tuned", 2, (i) => Math.sin(i)), hessian];
  await writeSafetensors(world.at("wide.safetensors"), tensors);
  const flags = ["--mode", "optimal", "--loss", "0.1", "--engine", "reference", "--out", "wide-out.safetensors"];
  const child = startSafedelta(world.path, ["layer", "wide.safetensors", ...flags]);
  await Bun.sleep(2500); // reading takes one second, the call then minutes
  child.kill("SIGINT");
  expect(await new Response(child.stderr).text()).toContain("interrupted");
  expect(await child.exited).toBe(130);
  expect(await Bun.file(world.at("wide-out.safetensors")).exists()).toBe(false);
}, 300_000);
