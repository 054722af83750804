import { experimentNotes, experimentText } from "../experimentTable.ts";
import { formatBytes, formatMs, formatShare } from "../format.ts";
import { layerTable } from "../layerTable.ts";
import { written } from "../prose.ts";
import { ratio } from "../repairReport.ts";
import { howToMeasure, measureCommands, originsOf, whatWasDone } from "../repairWords.ts";
import { table } from "../table.ts";
import { nameOf, unmeasured } from "./evaluations.ts";
import { incompleteNote } from "./experiments.ts";
import { differenceCells, differenceColumns, metricTexts } from "./measuredTexts.ts";
import { pointTable } from "./pointTable.ts";
import type { PageRepair, ReportData } from "./reportData.ts";
import { titleOf } from "./reportPage.ts";
import { visible } from "./visible.ts";

const lineWidth = 100;

/** A page for a terminal: what was done, tables, origins, commands. What a terminal would obey is spelled out; no colours. */
export function reportText(data: ReportData): string {
  const [repair] = data.repairs;
  const blocks = [
    titleOf(data),
    ...(repair ? [wrapped(written(whatWasDone(repair), (text) => text)), totalsText(repair)] : []),
    ...answersText(data),
    ...pointsText(data),
    ...experimentTexts(data),
    ...(repair ? [layersText(repair), originsText(repair)] : []),
    ...timeText(data),
    ...commandText(data),
  ];
  return blocks.map(visible).join("\n\n");
}

function wrapped(text: string): string {
  const lines = [""];
  for (const word of text.split(/\s+/)) {
    const last = lines[lines.length - 1];
    if (last !== "" && last.length + word.length >= lineWidth) lines.push(word);
    else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
  }
  return lines.join("\n");
}

function totalsText({ totals }: PageRepair): string {
  const { safetyLossShare, utilityGap, deltaNorm, tunedDeltaNorm, keptShare } = totals;
  return [
    `safety loss left              ${formatShare(safetyLossShare)} of the fine-tuning's (an estimate)`,
    `from the fine-tuned model     ${formatShare(ratio(Math.sqrt(utilityGap), tunedDeltaNorm))} of the fine-tuning's size`,
    `from the aligned model        ${formatShare(ratio(deltaNorm, tunedDeltaNorm))} of the fine-tuning's size`,
    `kept bit for bit              ${formatShare(keptShare)} of the weights`,
  ].join("\n");
}

function answersText({ evaluations, comparisons, repairs }: ReportData): string[] {
  const [repair] = repairs;
  const roles = repair ? unmeasured(evaluations) : [];
  const missing =
    roles.length > 0 ? [`${wrapped(written(howToMeasure(repair, roles), (text) => text))}\n${measureCommands}`] : [];
  if (evaluations.length === 0) return missing;
  const byTask = [...Map.groupBy(evaluations, ({ task }) => task).values()].flat();
  const rows = byTask.flatMap((evaluation) =>
    evaluation.metrics.map((metric) => {
      const { value, interval, n } = metricTexts(metric);
      return [evaluation.task, metric.metric, nameOf(evaluation), value, interval, n];
    }),
  );
  const values = table(["task", "metric", "model", "value", "95 %", "n"], rows, {
    align: ["left", "left", "left", "right", "right", "right"],
  });
  if (comparisons.length === 0) return [values, ...missing];
  const differences = comparisons.map((one) => [one.task, one.metric, ...differenceCells(one)]);
  const columns = ["task", "metric", ...differenceColumns];
  return [
    values,
    ...missing,
    table(columns, differences, { align: ["left", "left", "left", "right", "right", "right", "right"] }),
  ];
}

function pointsText({ repairs, sweep }: ReportData): string[] {
  if (repairs.length + sweep.length < 2) return [];
  const { columns, rows } = pointTable(repairs, sweep);
  return [table(columns, rows)];
}

function experimentTexts({ experiments }: ReportData): string[] {
  return experiments.flatMap((experiment) => [
    experiment.title,
    experimentText(experiment),
    [...incompleteNote(experiment.missing), ...experimentNotes(experiment)].map(wrapped).join("\n"),
  ]);
}

function layersText(repair: PageRepair): string {
  const { columns, rows } = layerTable(repair);
  return table(columns, rows);
}

function originsText(repair: PageRepair): string {
  return originsOf(repair)
    .map(([label, text]) => `${label}: ${written(text, (spot) => spot)}`)
    .join("\n");
}

function timeText({ run }: ReportData): string[] {
  if (!run) return [];
  const rows = [...run.stages, { name: "all", ...run }].map(({ name, ms, peakMemoryBytes }) => [
    name,
    formatMs(ms),
    formatBytes(peakMemoryBytes),
  ]);
  return [table(["stage", "time", "peak memory"], rows)];
}

function commandText({ repairs, trainings }: ReportData): string[] {
  const [made] = [...repairs, ...trainings];
  return made ? [`With safedelta ${made.toolVersion}:\n${made.command}`] : [];
}
