import { formatNumber } from "../format.ts";
import { type ExperimentCase, type ExperimentColumn, type ExperimentRow, planeOf } from "../page/experiments.ts";
import { linePlot, type PlotAxis, type PlotRow, type PlotSpec } from "./plotSpec.ts";

/** The plots of a case; those that it has no numbers for are not there. */
export interface CasePlots {
  /** The safety-utility plane. */
  readonly plane?: PlotSpec;
  /** Utility over safety loss. */
  readonly loss?: PlotSpec;
}

/** What a plot has on one of its axes. */
interface Measure {
  readonly name: string;
  readonly title: string;
  valueOf(row: ExperimentRow): number | undefined;
}

const safetyLoss: Measure = {
  name: "safety loss",
  title: "safety loss (share of the fine-tuning's)",
  valueOf: (row) => row.safetyLoss?.value,
};

/**
 * The plots of a case: a line joins the settings of a method, and a ring is around the chosen one.
 * @param of what the titles say it is a case of, where there are several
 */
export function casePlots({ columns, rows }: ExperimentCase, of = ""): CasePlots {
  const found = planeOf(columns);
  if (!found) return {};
  const utility = measureOf(found.utility);
  const plot = (x: Measure) => plotOf(rows, x, utility, of);
  return { plane: plot(measureOf(found.safety)), loss: plot(safetyLoss) };
}

function measureOf({ name, better }: ExperimentColumn): Measure {
  return { name, title: `${name} (${better} is better)`, valueOf: (row) => row.entries[name]?.value };
}

function plotOf(all: readonly ExperimentRow[], x: Measure, y: Measure, of: string): PlotSpec | undefined {
  const rows = all.flatMap((row): PlotRow[] => {
    const [at, over] = [x.valueOf(row), y.valueOf(row)];
    if (at === undefined || over === undefined) return [];
    const label = row.isBest ? `${row.label} (chosen)` : row.label;
    return [{ series: row.method, x: at, y: over, label, isMarked: row.isBest }];
  });
  if (rows.length === 0) return undefined;
  const texts = rows.map(
    ({ label, ...at }) => `${label}: ${x.name} ${formatNumber(at.x)}, ${y.name} ${formatNumber(at.y)}`,
  );
  return linePlot({
    title: `${y.name} over ${x.name}${of === "" ? "" : `, ${of}`}`,
    description: `${texts.join("; ")}.`,
    x: axisOf(
      x,
      rows.map((row) => row.x),
    ),
    y: axisOf(
      y,
      rows.map((row) => row.y),
    ),
    rows,
    points: true,
    ring: rows.some(({ isMarked }) => isMarked) ? "chosen setting of its method" : undefined,
    series: [...new Set(all.map(({ method }) => method))],
  });
}

/** From 0 to 1, or as far as the values go. */
function axisOf({ title }: Measure, values: readonly number[]): PlotAxis {
  const [low, high] = [Math.min(0, ...values), Math.max(1, ...values)];
  const room = 0.04 * (high - low);
  return { title, type: "linear", domain: [low - room, high + room], format: "~g" };
}
