import { formatNumber } from "../format.ts";
import { type ExperimentColumn, type ExperimentReport, type ExperimentRow, planeOf } from "../page/experiments.ts";
import { linePlot, type PlotAxis, type PlotRow, type PlotSpec } from "./plotSpec.ts";

/** The safety-utility plane of each case that has one, by the case's index; a line joins the settings of a method. */
export function planePlots({ cases }: ExperimentReport): (readonly [index: number, plot: PlotSpec])[] {
  return cases.flatMap(({ name, columns, rows }, index) => {
    const plane = planeOf(columns);
    if (!plane) return [];
    const { safety, utility } = plane;
    const points = rows.flatMap((row) => pointOf(row, safety, utility));
    if (points.length === 0) return [];
    const texts = points.map(
      ({ label, x, y }) => `${label}: ${safety.name} ${formatNumber(x)}, ${utility.name} ${formatNumber(y)}`,
    );
    const plot = linePlot({
      title: `${utility.name} over ${safety.name}${cases.length > 1 ? `, ${name}` : ""}`,
      description: `${texts.join("; ")}.`,
      x: axisOf(
        safety,
        points.map(({ x }) => x),
      ),
      y: axisOf(
        utility,
        points.map(({ y }) => y),
      ),
      rows: points,
      points: true,
    });
    return [[index, plot] as const];
  });
}

function pointOf(
  { method, label, entries }: ExperimentRow,
  safety: ExperimentColumn,
  utility: ExperimentColumn,
): PlotRow[] {
  const [x, y] = [entries[safety.name]?.value, entries[utility.name]?.value];
  return x === undefined || y === undefined ? [] : [{ series: method, x, y, label }];
}

/** From 0 to 1, or as far as the values go. */
function axisOf({ name, better }: ExperimentColumn, values: readonly number[]): PlotAxis {
  const [low, high] = [Math.min(0, ...values), Math.max(1, ...values)];
  const room = 0.04 * (high - low);
  return { title: `${name} (${better} is better)`, type: "linear", domain: [low - room, high + room], format: "~g" };
}
