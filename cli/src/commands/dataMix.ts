import {
  type Draw,
  hashExamples,
  loadSource,
  localFiles,
  mixExamples,
  parseDraw,
  spellings,
  toJsonLines,
} from "@safedelta/data";
import { sourceAccess, writeWhole } from "@safedelta/pipeline";
import { defineCommand, required } from "../command.ts";
import { requireFreeRecords } from "../freeRecords.ts";
import { computeOptions, option } from "../options.ts";

/** `safedelta data mix SOURCE[:N] … --out FILE` */
export const dataMixCommand = defineCommand({
  brief: "Draw from data sources and write them, shuffled, as one JSONL file",
  help:
    `SOURCE is ${spellings}; with :N so many of its records are drawn by the seed. What is written is read by every command: messages, ` +
    "reference, id.",
  args: ["SOURCE[:N]…"],
  options: {
    out: option.path({ brief: "JSONL file to write", placeholder: "file" }),
    overwrite: option.flag("replace the records that stand at --out"),
    seed: option.count(0, { brief: "seed of the draws and of the order" }),
    offline: computeOptions.offline,
  },
  sources: drawsOf,
  async run(options, words, io) {
    const asked = drawsOf(words);
    const out = required(options.out, "--out");
    const inputs = asked.flatMap(({ name }) => localFiles(name));
    await requireFreeRecords({ out, inputs, overwrite: options.overwrite });
    const access = sourceAccess(options.offline, io.progress);
    const { seed } = options;
    const shares = [];
    for (const { name, n } of asked) {
      const examples = await loadSource(name, access, { seed });
      shares.push({ name, examples, n });
    }
    const mixed = mixExamples(shares, seed);
    await writeWhole(out, toJsonLines(mixed));
    const drawn = shares.map(({ name, examples, n = examples.length }) => ({ source: name, n, of: examples.length }));
    io.document({ out, nExamples: mixed.length, sha256: hashExamples(mixed), seed, sources: drawn });
    io.print(drawn.map(({ source, n, of }) => `${n} of ${of} records of ${source}`).join("\n"));
    io.print(`written: ${out}, ${mixed.length} records`);
    return undefined;
  },
});

/** @throws UsageError for none, DataError for :0 */
function drawsOf(words: readonly string[]): Draw[] {
  return [required(words[0], "SOURCE"), ...words.slice(1)].map(parseDraw);
}
