import { type ApplyOptions, apply, planSweep, type SweepOptions, type SweepPoint, sweep } from "@safedelta/pipeline";
import { formatNumber, formatPercent, ratio, table } from "@safedelta/report";
import { budgetFlag, budgetsOf } from "../budget.ts";
import { defineCommand, required } from "../command.ts";
import { UsageError } from "../exitCode.ts";
import { openTold, toldPeak } from "../openTold.ts";
import { computeOptions, option } from "../options.ts";
import { describeRepair } from "../repairFiles.ts";
import { modelsToMake } from "../sweptModels.ts";
import { parseModes } from "../words.ts";

/** `safedelta sweep --aligned A --tuned T --state STATE --loss 0.01,0.03` */
export const sweepCommand = defineCommand({
  worker: "sweep",
  brief: "Show what every budget and mode would give, from a prepared state",
  help: "Writes no model unless --out is given; then each point becomes a folder OUT/MODE-BUDGET, and the same command goes on after an interruption.",
  args: [],
  options: {
    aligned: option.model({ brief: "the model before fine-tuning" }),
    tuned: option.model({ brief: "the fine-tuned model, or its LoRA adapter" }),
    state: option.path({ brief: "folder that prepare wrote", placeholder: "folder" }),
    modes: option.words({ brief: "modes [all that the state serves]", placeholder: "a,b,…" }),
    loss: option.numbers({ brief: "shares 0..1 of the full fine-tuning's safety loss, for each linear" }),
    globalLoss: option.numbers({ brief: "the same, one pool for all linears (exact, optimal)" }),
    strength: option.numbers({ brief: "λ in units of 1/mean(diag H) (optimal)" }),
    keep: option.numbers({ brief: "shares of the columns (exact)" }),
    scale: option.numbers({ brief: "the paper's s (reference, none, paper)" }),
    linears: option.flag("with --json: the numbers of every linear too"),
    out: option.outFolder("folder to write the models into"),
    overwrite: option.flag("replace models that stand in --out"),
    ...computeOptions,
  },
  async run(options, _args, io) {
    const budgets = budgetsOf(options);
    if (options.linears && !options.json)
      throw new UsageError("--linears needs --json: the table has no room for them.");
    if (options.overwrite && options.out === undefined) throw new UsageError("--overwrite needs --out.");
    if (budgets.length === 0) throw new UsageError("Give at least one budget, for example --loss 0.01,0.03,0.1.");
    const request = {
      aligned: required(options.aligned, "--aligned"),
      tuned: required(options.tuned, "--tuned"),
      state: required(options.state, "--state"),
      modes: options.modes === undefined ? [] : [...new Set(parseModes(options.modes))],
      budgets,
      offline: options.offline,
      maxMemoryBytes: options.maxMemory,
    };
    using engine = await openTold(options, io);
    const models =
      options.out === undefined ? [] : (await planSweep(request)).map((point) => modelOf(request, point, options));
    const open = options.out === undefined ? [] : await modelsToMake(engine, request, models, options.out, io.progress);
    const points = await sweep(engine, request, io.progress);
    io.print(pointTable(points));
    for (const model of models) if (!open.includes(model)) io.note(`whole already: ${model.out}`);
    for (const model of open) {
      await apply(engine, model, describeRepair(model, "model"), io.progress);
      io.note(`written: ${model.out}`);
    }
    const shown = points.map(({ linears, ...point }) => (options.linears ? { ...point, linears } : point));
    const document = { points: shown.map((point, i) => ({ ...point, out: models[i]?.out })) };
    io.document({ ...document, peakMemoryBytes: toldPeak(io) });
    return undefined;
  },
});

/** The apply that makes the model of a point. */
function modelOf(
  { aligned, tuned, state, offline, maxMemoryBytes }: SweepOptions,
  { mode, budget }: Pick<SweepPoint, "mode" | "budget">,
  { out, overwrite }: { out?: string; overwrite: boolean },
): ApplyOptions {
  const folder = `${out}/${mode}-${budgetFlag(budget).slice(2).replace(" ", "-")}`;
  const place = { out: folder, overwrite, offline, maxMemoryBytes, rest: "aligned", maxShardBytes: 5e9 } as const;
  return { aligned, tuned, source: { state }, mode, budget, ...place };
}

function pointTable(points: readonly SweepPoint[]): string {
  const rows = points.map((p) => [
    p.mode,
    budgetFlag(p.budget),
    formatPercent(p.safetyLossShare),
    formatNumber(ratio(p.utilityGap, p.tunedDeltaNorm ** 2)),
    formatNumber(ratio(p.deltaNorm, p.tunedDeltaNorm)),
    formatPercent(p.keptShare),
  ]);
  return table(["mode", "budget", "safety loss", "gap/‖Δ‖²", "‖D‖/‖Δ‖", "kept"], rows);
}
