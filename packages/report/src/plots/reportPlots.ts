import { formatNumber, formatPercent } from "../format.ts";
import type { ExperimentCase, ExperimentReport } from "../page/experiments.ts";
import type { SpectrumReport, SweepReport } from "../page/reportData.ts";
import { type RepairReport, ratio } from "../repairReport.ts";
import { settingOf, taskWords } from "../repairWords.ts";
import type { TrainingReport } from "../trainingReport.ts";
import { casePlots } from "./planePlots.ts";
import { linePlot, type PlotRow, type PlotSpec } from "./plotSpec.ts";

/** What plots are drawn from. */
interface Sources {
  readonly repairs: readonly RepairReport[];
  readonly trainings: readonly TrainingReport[];
  readonly sweep: readonly SweepReport[];
  readonly spectra: readonly SpectrumReport[];
  readonly experiments: readonly ExperimentReport[];
}

/** Every plot that the sources allow, by its name in the page's data. */
export function reportPlots({ repairs, trainings, sweep, spectra, experiments }: Sources): Record<string, PlotSpec> {
  const curve = repairs.length > 0 || sweep.length > 0 ? [["curve", curvePlot(repairs, sweep)] as const] : [];
  const groups = [...new Set(spectra.map(({ group }) => group))];
  return Object.fromEntries([
    ...curve,
    ...experiments.flatMap(({ cases }, e) => cases.flatMap((one, c) => namedPlots(one, cases.length, `${e}-${c}`))),
    ...groups.map((group) => [`spectrum-${group}`, spectrumPlot(group, ofGroup(spectra, group))] as const),
    ...trainings.flatMap((training, i) =>
      training.log.length > 0 ? [[`loss-${i}`, trainingPlot(training)] as const] : [],
    ),
  ]);
}

function namedPlots(one: ExperimentCase, nCases: number, place: string): [name: string, plot: PlotSpec][] {
  const { plane, loss } = casePlots(one, nCases > 1 ? one.name : "");
  const found = { plane, "safety-loss": loss };
  return Object.entries(found).flatMap(([name, plot]) => (plot ? [[`${name}-${place}`, plot]] : []));
}

/** Safety loss against the distance from the fine-tuned weights, both as shares. */
function curvePlot(repairs: readonly RepairReport[], sweep: readonly SweepReport[]): PlotSpec {
  const rows = [...repairs.map(repairRow), ...ends, ...sweep.map(sweepRow)];
  const most = (values: readonly number[]) => Math.max(1, ...values) * 1.04;
  return linePlot({
    title: "Safety loss against distance from the fine-tuned model",
    description: curveText(rows),
    x: {
      title: "safety loss, share of the fine-tuning's (√ scale)",
      type: "sqrt",
      domain: [0, most(rows.map(({ x }) => x))],
      format: "~%",
    },
    y: {
      title: "distance from the fine-tuned: ‖D − Δ‖/‖Δ‖",
      type: "linear",
      domain: [0, most(rows.map(({ y }) => y))],
      format: "~%",
    },
    rows,
    points: true,
  });
}

function curveText(rows: readonly PlotRow[]): string {
  const points = rows.map(
    ({ label, x, y }) => `${label}: safety loss ${formatPercent(x)}, distance ${formatPercent(y)}`,
  );
  return `${points.join("; ")}.`;
}

/** The page's own model is a series of its own; others are joined with those of the same method, whatever their dial. */
function repairRow(repair: RepairReport, index: number): PlotRow {
  const { safetyLossShare, utilityGap, tunedDeltaNorm } = repair.totals;
  const setting = settingOf(repair);
  const series = index === 0 ? `this model (${setting})` : familyOf(repair);
  const place = { x: safetyLossShare, y: ratio(Math.sqrt(utilityGap), tunedDeltaNorm) };
  return { series, ...place, label: setting, isMarked: index === 0 };
}

function familyOf(repair: RepairReport): string {
  const { mode, rival } = repair;
  return rival ? rival.method : [mode, ...taskWords(repair)].join(" with ");
}

/** The ends of every curve, by definition. */
const ends: readonly PlotRow[] = [
  { series: "aligned model", x: 0, y: 1, label: "aligned model" },
  { series: "fine-tuned model", x: 1, y: 0, label: "fine-tuned model" },
];

function sweepRow({ mode, budget, safetyLossShare, utilityGap, tunedDeltaNorm }: SweepReport): PlotRow {
  const y = ratio(Math.sqrt(utilityGap), tunedDeltaNorm);
  return { series: mode, x: safetyLossShare, y, label: `${mode} ${budget}` };
}

function ofGroup(spectra: readonly SpectrumReport[], group: string): SpectrumReport[] {
  return spectra.filter((spectrum) => spectrum.group === group);
}

/** The first, the middle and the last layer of one group. */
function spectrumPlot(group: string, spectra: readonly SpectrumReport[]): PlotSpec {
  const picked = [...new Set([0, Math.floor((spectra.length - 1) / 2), spectra.length - 1])].map((i) => spectra[i]);
  const rows = picked.flatMap(({ layer, quantiles }) =>
    quantiles.map((y, i) => ({ series: `layer ${layer}`, x: ratio(i, quantiles.length - 1), y })),
  );
  const values = rows.map(({ y }) => y);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const layers = picked.map(
    ({ layer, quantiles }) =>
      `layer ${layer} from ${formatNumber(quantiles[0])} to ${formatNumber(quantiles[quantiles.length - 1])}`,
  );
  return linePlot({
    title: `Sensitivity of ${group}`,
    description: `In units of the mean: ${layers.join("; ")}.`,
    x: { title: "share of the directions, least sensitive first", type: "linear", domain: [0, 1], format: "~%" },
    y: { title: "sensitivity, in units of the mean", type: "log", domain: decadesAround(low, high), format: "~e" },
    rows,
    points: false,
  });
}

function decadesAround(low: number, high: number): [number, number] {
  return [
    10 ** Math.floor(Math.log10(low)),
    10 ** Math.max(Math.ceil(Math.log10(high)), Math.floor(Math.log10(low)) + 1),
  ];
}

/** Most points of a line: more could not be told apart on a screen. */
const mostPoints = 240;

/** The loss of every update, or of a few together. The log has one update at least. */
export function trainingPlot({ log, model }: Pick<TrainingReport, "log" | "model">): PlotSpec {
  const size = Math.ceil(log.length / mostPoints);
  const rows = Array.from({ length: Math.ceil(log.length / size) }, (_, i) => {
    const part = log.slice(i * size, (i + 1) * size);
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    return { series: "loss", x: mean(part.map(({ update }) => update)), y: mean(part.map(({ loss }) => loss)) };
  });
  const [first, last] = [rows[0], rows[rows.length - 1]];
  const [end, top] = [Math.max(2, log[log.length - 1].update), Math.max(...rows.map(({ y }) => y)) || 1];
  return linePlot({
    title: `Loss of fine-tuning ${model.name}`,
    description: `From ${formatNumber(first.y)} to ${formatNumber(last.y)} nats a token in ${formatNumber(log.length)} updates.`,
    x: { title: "update", type: "linear", domain: [1, end], format: "~g" },
    y: { title: "loss (nats a token)", type: "linear", domain: [0, top * 1.05], format: "~g" },
    rows,
    points: false,
  });
}
