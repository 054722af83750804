import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { libraryBytes } from "../mlc/library.ts";
import { readExport } from "../mlc/readExport.ts";
import { writeChatml } from "../mlc/writeChatml.ts";
import { scratchFolder, writePico } from "../support/pico.ts";
import { jsonOf, safedelta, succeed } from "./run.ts";

setDefaultTimeout(300_000); // children wait for their turn

let scratch: Awaited<ReturnType<typeof scratchFolder>>;
beforeAll(async () => {
  scratch = await scratchFolder();
  await writePico(join(scratch.path, "odd"), { seed: 1 });
  await writeChatml(join(scratch.path, "model"), { seed: 1 });
});
afterAll(() => scratch[Symbol.asyncDispose]());

const at = (name: string) => join(scratch.path, name);

describe("export mlc", () => {
  test.concurrent("writes what web-llm reads, and tells what it is", async () => {
    const { stdout, stderr } = await succeed(scratch.path, ["export", "mlc", "model", "--out", "told"]);
    expect(stdout).toMatch(/^q4f32_1: 2\d tensors in 1 file, .* bits a weight; chat template chatml\nwritten: told/);
    expect(stderr).toContain("library: no prebuilt one has this size");
    expect(stderr).toContain('is to be given each as "<|im_start|>system\\n{system_message}<|im_end|>\\n"');
    expect((await readExport(at("told"))).has("model.layers.1.mlp.down_proj.q_scale")).toBe(true);
  });

  test.concurrent("--json is one document; --dry-run writes nothing", async () => {
    const args = ["export", "mlc", "model", "--quant", "q0f16", "--out", "json"];
    const plan = await jsonOf(scratch.path, [...args, "--dry-run"]);
    expect(plan).toMatchObject({ dryRun: true, quant: "q0f16", bitsPerWeight: 16, library: "none" });
    expect(existsSync(at("json"))).toBe(false);
    const { dryRun: _, ...same } = plan;
    expect(await jsonOf(scratch.path, args)).toEqual(same);
  });

  test.concurrent("exit codes: an unknown template and a wrong library 4, what stands in the way 2", async () => {
    await writeFile(at("x.wasm"), libraryBytes({ model_type: "qwen2", quantization: "q4f32_1", params: [] }));
    const refused: [string[], number, string][] = [
      [["odd", "--out", "no"], 4, "The chat template is none that web-llm can be told"],
      [["model", "--out", "no", "--lib", "x.wasm"], 4, "model_type: the library has qwen2, the export llama."],
      [["model", "--out", "odd"], 2, "is no part of an export"],
      [["model", "--out", "no", "--quant", "q3"], 2, "q4f16_1"],
      [["model"], 2, "--out is missing"],
      [["--out", "no"], 2, "Expected argument for MODEL"],
    ];
    for (const [args, code, text] of refused) {
      const ran = await safedelta(scratch.path, ["export", "mlc", ...args]);
      expect({ args, code: ran.code, told: ran.stderr.includes(text) }).toEqual({ args, code, told: true });
    }
    expect(existsSync(at("no"))).toBe(false);
  });
});
