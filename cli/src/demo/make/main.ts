/**
 * Make the demo's data and its two checkpoints, with this project's own command:
 * `bun cli/src/demo/make/main.ts OUT [--seed 0]`. OUT receives `aligned/`, `tuned/` and the data files; what was trained on lies in
 * OUT/train.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { makeDemo } from "./makeDemo.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: "string", default: "0" } },
});
const [out] = positionals;
if (out === undefined) throw new Error("usage: bun cli/src/demo/make/main.ts OUT [--seed 0]");
await makeDemo({ out: resolve(out), seed: Number(values.seed) });
