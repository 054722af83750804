import { openEngine } from "@safedelta/engine";
import { type ApplyOptions, apply, type SweepPoint, sweep } from "@safedelta/pipeline";
import { formatNumber, formatPercent, table } from "@safedelta/report";
import { budgetFlag, budgetsOf } from "../budget.ts";
import { defineCommand, required } from "../command.ts";
import { UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";
import { computeOptions, option } from "../options.ts";
import { describeRepair } from "../repairFiles.ts";
import { parseModes } from "../words.ts";

/** `safedelta sweep --aligned A --tuned T --state STATE --loss 0.01,0.03` */
export const sweepCommand = defineCommand({
  brief: "Show what every budget and mode would give, from a prepared state",
  help: "Writes no model unless --out is given; then each point becomes a folder OUT/MODE-BUDGET.",
  args: [],
  options: {
    aligned: option.text({ brief: "the model before fine-tuning", placeholder: "model" }),
    tuned: option.text({ brief: "the fine-tuned model, or its LoRA adapter", placeholder: "model" }),
    state: option.text({ brief: "folder that prepare wrote", placeholder: "folder" }),
    modes: option.text({ brief: "modes [all that the state serves]", placeholder: "a,b,…" }),
    loss: option.numbers({ brief: "shares 0..1 of the full fine-tuning's safety loss, for each linear" }),
    globalLoss: option.numbers({ brief: "the same, one pool for all linears (exact, optimal)" }),
    strength: option.numbers({ brief: "λ in units of 1/mean(diag H) (optimal)" }),
    keep: option.numbers({ brief: "shares of the columns (exact)" }),
    scale: option.numbers({ brief: "the paper's s (reference, none, paper)" }),
    linears: option.flag("with --json: the numbers of every linear too"),
    out: option.text({ brief: "folder to write the models into", placeholder: "folder" }),
    overwrite: option.flag("replace models that stand in --out"),
    ...computeOptions,
  },
  async run(options, _args, io) {
    const budgets = budgetsOf(options);
    if (budgets.length === 0) throw new UsageError("Give at least one budget, for example --loss 0.01,0.03,0.1.");
    const request = {
      aligned: required(options.aligned, "--aligned"),
      tuned: required(options.tuned, "--tuned"),
      state: required(options.state, "--state"),
      modes: options.modes === undefined ? [] : parseModes(options.modes),
      budgets,
      offline: options.offline,
    };
    const { engine } = await openEngine(options.engine);
    using opened = engine;
    const points = await sweep(opened, request, io.progress);
    io.document({ points: points.map(({ linears, ...point }) => (options.linears ? { ...point, linears } : point)) });
    io.print(pointTable(points));
    if (options.out === undefined) return undefined;
    for (const { mode, budget } of points) {
      const { aligned, tuned, offline } = request;
      const out = `${options.out}/${mode}-${budgetFlag(budget).slice(2).replace(" ", "-")}`;
      const { overwrite, maxMemory: maxMemoryBytes } = options;
      const source = { state: request.state };
      const one = {
        aligned,
        tuned,
        source,
        out,
        mode,
        budget,
        offline,
        overwrite,
        maxMemoryBytes,
        rest: "aligned",
        maxShardBytes: 5e9,
      } as const;
      await apply(opened, one satisfies ApplyOptions, describeRepair(one, "model"), io.progress);
      tell(io, out);
    }
    return undefined;
  },
});

function tell(io: Io, out: string): void {
  io.note(`written: ${out}`);
}

function pointTable(points: readonly SweepPoint[]): string {
  const rows = points.map((p) => [
    p.mode,
    budgetFlag(p.budget),
    formatPercent(p.safetyLossShare),
    formatNumber(p.utilityGap / p.tunedDeltaNorm ** 2),
    formatNumber(p.deltaNorm / p.tunedDeltaNorm),
    formatPercent(p.keptShare),
  ]);
  return table(["mode", "budget", "safety loss", "gap/‖Δ‖²", "‖D‖/‖Δ‖", "kept"], rows);
}
