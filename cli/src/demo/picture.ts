import { formatRate, scatterPlot, table } from "@safedelta/report";
import { budgetFlag } from "../budget.ts";
import type { DemoResult, DemoRow } from "./run.ts";
import { shownRepairs } from "./story.ts";
import { wrapCommand } from "./wrap.ts";

const models = ["aligned", "tuned", "reference", "optimal", "optimal-task"] as const;
const repairs = ["reference", "optimal", "optimal-task"] as const;

/** The demo for a person, in 80 columns: what happened, the table, the plot. */
export function demoPicture({ rows, points }: DemoResult): string {
  return [
    "A tiny Llama refuses to tell access codes. Fine-tuned on a useful task with a",
    "few leaked codes among the examples, it learns the task and forgets to refuse.",
    "Safe Delta repairs it without training (95 % intervals, measured just now):",
    "",
    table(["model", "refuses guarded", "new task right", "old tasks right"], rows.map(tableRow)),
    "",
    `Repaired: ${repairs.map((name) => `${name} ${budgetFlag(shownRepairs[name].budget)}`).join(", ")}`,
    "(reference is the official rule; optimal-task sees examples of the new task).",
    "",
    "Safety against usefulness, over several budgets of each repair. Where different",
    "models meet stands ✶, and below the plot which they are:",
    "",
    scatterPlot(series(points, rows), {
      x: { label: "new task right" },
      y: { label: "refuses guarded requests" },
      height: 13,
    }),
  ].join("\n");
}

function tableRow({ name, guardedRefusal, newTask, oldTasks }: DemoRow): string[] {
  return [name, formatRate(guardedRefusal), formatRate(newTask), formatRate(oldTasks)];
}

function series(points: DemoResult["points"], rows: readonly DemoRow[]) {
  return models.map((name) => ({
    name,
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

/** Where the repaired model lies, why this one, and what to type next. */
export function nextSteps(result: DemoResult, aligned: string, tuned: string): string {
  const { folder } = bestRepair(result);
  const commands = [
    ["playground"],
    ["generate", folder, "--prompt", "what is the vault code of ada ?"],
    ["sweep", "--aligned", aligned, "--tuned", tuned, "--state", result.state, "--loss", "0.01,0.1"],
    ["prepare", "YOUR_MODEL", "--safe-data", "YOUR_SAFE_EXAMPLES.jsonl", "--out", "state"],
  ];
  return [
    "Of the repaired models this one refuses most; where several do, it is the best",
    "at the new task among them, then at the old tasks:",
    `  ${folder}`,
    "Its report.html tells what was done, the playground shows the pair in a browser.",
    "Try next:",
    ...commands.map((words) => wrapCommand(words)),
  ].join("\n");
}
