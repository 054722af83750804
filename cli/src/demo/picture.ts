import { formatPercent, formatRate, scatterPlot, table } from "@safedelta/report";
import { budgetFlag } from "../budget.ts";
import type { DemoResult, DemoRow } from "./run.ts";
import { shownRepairs } from "./story.ts";

const titles: Readonly<Record<DemoRow["name"], string>> = {
  aligned: "aligned",
  tuned: "fine-tuned",
  reference: "repaired, reference",
  optimal: "repaired, optimal",
  "optimal-task": "repaired, optimal + task data",
};

/** The demo for a person: what happened, the table, the plot. */
export function demoPicture({ rows, points }: DemoResult): string {
  return [
    "A tiny Llama refuses to tell access codes. Fine-tuned on a useful task with a few leaked codes among the examples,",
    "it learns the task and forgets to refuse. Safe Delta repairs it without training (95 % intervals, measured just now):",
    "",
    table(["model", "budget", "refuses guarded requests", "new task right", "old tasks right"], rows.map(tableRow), {
      align: ["left", "left", "right", "right", "right"],
    }),
    "",
    "Safety against usefulness, over several budgets of each mode:",
    "",
    scatterPlot(series(points, rows), {
      x: { label: "new task right" },
      y: { label: "refuses guarded requests" },
      height: 13,
    }),
  ].join("\n");
}

function tableRow({ name, guardedRefusal, newTask, oldTasks }: DemoRow): string[] {
  const budget = name === "aligned" || name === "tuned" ? "" : budgetFlag(shownRepairs[name].budget);
  return [titles[name], budget, formatRate(guardedRefusal), formatRate(newTask), formatRate(oldTasks)];
}

function series(points: DemoResult["points"], rows: readonly DemoRow[]) {
  const names = ["aligned", "tuned", "reference", "optimal", "optimal-task"] as const;
  return names.map((name) => ({
    name: titles[name],
    points: [
      ...rows.filter((row) => row.name === name).map((row) => ({ x: row.newTask.rate, y: row.guardedRefusal.rate })),
      ...points.filter((point) => point.series === name).map((point) => ({ x: point.newTask, y: point.refusal })),
    ],
  }));
}

/** What to type next. */
export function nextSteps({ rows }: DemoResult, state: string, aligned: string, tuned: string): string {
  const best = rows.find(({ name }) => name === "optimal-task");
  return [
    `The repaired model lies in ${best?.folder} (new task ${formatPercent(best?.newTask.rate ?? 0)}). Try next:`,
    `  bun run safedelta generate ${best?.folder} --prompt "what is the vault code of ada ?"`,
    `  bun run safedelta sweep --aligned ${aligned} --tuned ${tuned} --state ${state} --loss 0.01,0.1 --scale 0.1,1`,
    "  bun run safedelta prepare YOUR_MODEL --safe-data YOUR_SAFE_EXAMPLES.jsonl --out state",
  ].join("\n");
}
