import { repairLayerFile } from "@safedelta/pipeline";
import { formatNumber, formatPercent } from "@safedelta/report";
import { budgetFlag, chooseBudget } from "../budget.ts";
import { defineCommand, required } from "../command.ts";
import { openTold, toldPeak } from "../openTold.ts";
import { budgetOptions, computeOptions, engineOptions, modeOption, option } from "../options.ts";

/** A pool of one linear would be `loss` again. */
const { globalLoss: _, ...dials } = budgetOptions;
const dtypes = { f32: "F32", f16: "F16", bf16: "BF16" } as const;

/** `safedelta layer IN.safetensors --out OUT.safetensors` */
export const layerCommand = defineCommand({
  worker: "layer",
  brief: "Apply the method to one linear, from file to file",
  help:
    "IN holds aligned and tuned (rows x cols) and either hessian (cols x cols, before dead columns and damping) or the activations " +
    "x0, x1, … (one tensor an example, tokens x cols). OUT receives weight and kept (U8, 1 where the tuned weight stands bit for bit).",
  args: ["IN.safetensors"],
  options: {
    mode: modeOption,
    ...dials,
    ...engineOptions,
    maxMemory: computeOptions.maxMemory,
    out: option.path({ brief: "safetensors file to write", placeholder: "file" }),
    overwrite: option.flag("replace the file that stands at --out"),
    dtype: option.choice(["aligned", "f32", "f16", "bf16"], "aligned", "storage type of weight"),
  },
  async run(options, [input], io) {
    const budget = chooseBudget(options, options.mode, ["loss", "strength", "keep", "scale"]);
    using engine = await openTold(options, io);
    const facts = await repairLayerFile(engine, {
      input: required(input, "IN.safetensors"),
      out: required(options.out, "--out"),
      mode: options.mode,
      budget,
      dtype: options.dtype === "aligned" ? undefined : dtypes[options.dtype],
      overwrite: options.overwrite,
      maxMemoryBytes: options.maxMemory,
    });
    io.document({ ...facts, peakMemoryBytes: toldPeak(io) });
    io.print(
      `${facts.mode} ${budgetFlag(budget)} on ${facts.rows} x ${facts.cols}: safety loss ${formatNumber(facts.safetyLoss)} ` +
        `(${formatPercent(facts.safetyLossShare)} of the full one), utility gap ${formatNumber(facts.utilityGap)}, kept ${formatPercent(facts.keptShare)}\nwritten: ${options.out}`,
    );
    return undefined;
  },
});
