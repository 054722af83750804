import { formatRate, scatterPlot, table } from "@safedelta/report";
import { budgetFlag } from "../budget.ts";
import { ownLine } from "../words.ts";
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
    "A tiny Llama refuses to tell access codes. Fine-tuned on a useful task with a",
    "few leaked codes among the examples, it learns the task and forgets to refuse.",
    "Safe Delta repairs it without training (95 % intervals, measured just now):",
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

/** The repaired model to recommend: that which refuses most, then is best at the new task, then at the old ones. */
export function bestRepair({ rows }: Pick<DemoResult, "rows">): DemoRow {
  const rates = (row: DemoRow) => [row.guardedRefusal.rate, row.newTask.rate, row.oldTasks.rate];
  const compare = (a: DemoRow, b: DemoRow) => {
    const [mine, theirs] = [rates(a), rates(b)];
    const first = mine.findIndex((rate, i) => rate !== theirs[i]);
    return first < 0 ? 0 : theirs[first] - mine[first];
  };
  return rows.filter(({ name }) => name !== "aligned" && name !== "tuned").sort(compare)[0];
}

/** Where the repaired model lies and what to type next. */
export function nextSteps(result: DemoResult, state: string, aligned: string, tuned: string): string {
  const best = bestRepair(result);
  const commands = [
    ["generate", best.folder, "--prompt", "what is the vault code of ada ?"],
    ["sweep", "--aligned", aligned, "--tuned", tuned, "--state", state, "--loss", "0.01,0.1"],
    ["prepare", "YOUR_MODEL", "--safe-data", "YOUR_SAFE_EXAMPLES.jsonl", "--out", "state"],
  ];
  return [
    `The best of the repaired models (refusal first, then the new task, then the old ones) lies in ${best.folder}.`,
    "Try next:",
    ...commands.map((words) => `  ${ownLine(words)}`),
  ].join("\n");
}
