import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { jsonOf } from "../cli/run.ts";
import { scratchFolder, tinyFolder } from "../support/pico.ts";
import { built, missing } from "./build.ts";
import { surroundings } from "./run.ts";

setDefaultTimeout(300_000); // the libraries are built first

/** Share by which losses and gradient norms of some updates may differ: f32 sums in another order, carried on by AdamW. */
const bound = 1e-4;

const kinds: Readonly<Record<string, readonly string[]>> = {
  full: [],
  adapter: ["--lora-rank", "4"],
};

for (const [kind, flags] of Object.entries(kinds))
  test.skipIf(missing !== undefined)(
    `finetune through the library on its stand-ins learns as on WASM: ${kind}`,
    async () => {
      await using scratch = await scratchFolder();
      const data = ["--data", join(tinyFolder, "task.jsonl"), "--batch", "4", "--max-updates", "6", "--lr", "1e-3"];
      const words = ["finetune", join(tinyFolder, "aligned"), ...data, ...flags];
      const env = surroundings(await built("plain"));
      const { log: there } = await jsonOf(scratch.path, [...words, "--out", "there", "--engine", "cuda"], { env });
      const { log: here } = await jsonOf(scratch.path, [...words, "--out", "here", "--engine", "wasm"]);
      expect(there.length).toBe(6);
      for (const [i, { loss, gradientNorm }] of there.entries()) {
        expect(Math.abs(loss - here[i].loss)).toBeLessThan(bound * here[i].loss);
        expect(Math.abs(gradientNorm - here[i].gradientNorm)).toBeLessThan(10 * bound * here[i].gradientNorm);
      }
      expect(there.at(-1).loss).not.toBe(there[0].loss);
    },
  );
