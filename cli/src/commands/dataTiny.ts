import { mkdir, readdir } from "node:fs/promises";
import { defineCommand, required } from "../command.ts";
import { demoSizes } from "../demo/make/sets.ts";
import { writeFamily } from "../demo/make/writeFamily.ts";
import { UsageError } from "../exitCode.ts";
import { option } from "../options.ts";

/** Of the model, whose own width is a multiple of it. */
const headWidth = 8;

const size = (value: number, brief: string) => option.positive(value, { brief });

/** `safedelta data tiny --seed N --out FOLDER` */
export const dataTinyCommand = defineCommand({
  brief: "Make the data and the untrained model of a tiny family like the demo's, for experiments in minutes",
  help:
    "All is harmless and made by the seed: train/aligned.jsonl teaches train/random to refuse requests for codes, train/tuned.jsonl is a new task " +
    "with leaked codes among it; safe, task, task-clean, leaks and ordinary are data for repairs, eval-* what is asked.",
  args: [],
  options: {
    out: option.outFolder("folder to write"),
    overwrite: option.flag("write over what stands at --out"),
    seed: option.count(0, { brief: "seed of everything" }),
    aligned: size(demoSizes.aligned, "examples that the aligned model learns from"),
    notes: size(demoSizes.notes, "of the fine-tuning: examples of the new task"),
    leaks: size(demoSizes.leaks, "of the fine-tuning: leaked codes"),
    old: size(demoSizes.old, "of the fine-tuning: old tasks"),
    hidden: option.maybePositive({ brief: "width of the model, a multiple of 8 [as the demo's]" }, headWidth),
  },
  async run(options, _args, io) {
    const out = required(options.out, "--out");
    const { seed, hidden, ...sizes } = options;
    if (!options.overwrite) await requireEmpty(out);
    const config: Record<string, number> =
      hidden === undefined ? {} : { hidden_size: hidden, head_dim: headWidth, intermediate_size: 2 * hidden };
    await writeFamily({ out, seed, sizes, config });
    io.document({ out, seed });
    io.print(`written: ${out}`);
    return undefined;
  },
});

async function requireEmpty(out: string): Promise<void> {
  await mkdir(out, { recursive: true });
  if ((await readdir(out)).length > 0)
    throw new UsageError(`${out}: is not empty. Choose another --out, or add --overwrite.`);
}
