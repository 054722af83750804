import type { PlotSpec } from "../plots/plotSpec.ts";
import { reportPlots } from "../plots/reportPlots.ts";
import type { LinearReport, RepairReport } from "../repairReport.ts";
import type { DescribedRepair } from "../repairWords.ts";
import type { TrainingReport } from "../trainingReport.ts";
import {
  type ComparisonReport,
  type EvaluationInput,
  type EvaluationReport,
  type SampleSet,
  sampleSets,
  type WithheldSet,
} from "./evaluations.ts";
import type { ExperimentReport } from "./experiments.ts";
import { type HeatSpec, heatMapsOf, heatSpec } from "./heatMap.ts";

/** Version of the layout of a page's data; it grows when a field changes its meaning or goes. */
export const pageSchemaVersion = 1;

/** A repair as a page holds it: hashes of tensors and blocks of columns stand in safedelta.json. */
export interface PageRepair extends DescribedRepair {
  readonly layers: readonly { readonly layer: number; readonly linears: readonly Omit<LinearReport, "blocks">[] }[];
}

/** One budget of a sweep, in sums over all linears. */
export interface SweepReport {
  readonly mode: string;
  /** As the command line spells it: `--loss 0.03`. */
  readonly budget: string;
  readonly safetyLossShare: number;
  readonly utilityGap: number;
  readonly deltaNorm: number;
  readonly tunedDeltaNorm: number;
  readonly keptShare: number;
}

/** Sensitivities of one group of linears that share an input: evenly spaced quantiles, ascending, in units of their mean. */
export interface SpectrumReport {
  readonly layer: number;
  readonly group: string;
  /** Eigenvalues of the damped Hessian, or 1/[H⁻¹]_jj by column. */
  readonly kind: "eigenvalues" | "columns";
  readonly nValues: number;
  readonly quantiles: readonly number[];
}

/** How long a run took, and what it needed; never in what `apply` writes, which is the same after an interruption. */
export interface RunReport {
  readonly ms: number;
  readonly peakMemoryBytes: number;
  readonly stages: readonly { readonly name: string; readonly ms: number; readonly peakMemoryBytes: number }[];
}

/** Everything that a page can be made from. */
export interface ReportInput {
  readonly toolVersion: string;
  /** The first is what the page is about, the others stand beside it. */
  readonly repairs: readonly RepairReport[];
  readonly trainings?: readonly TrainingReport[];
  readonly evaluations?: readonly EvaluationInput[];
  readonly comparisons?: readonly ComparisonReport[];
  readonly sweep?: readonly SweepReport[];
  readonly spectra?: readonly SpectrumReport[];
  /** Why there are no spectra. */
  readonly noSpectra?: string;
  readonly run?: RunReport;
  readonly experiments?: readonly ExperimentReport[];
  /** Answers shown of each set of prompts; 0 unless given. */
  readonly nSamples?: number;
  readonly showHarmful?: boolean;
}

/** The data of a page: plain, and all that `reportPage` and `reportText` show. */
export interface ReportData {
  readonly schemaVersion: number;
  readonly toolVersion: string;
  readonly repairs: readonly PageRepair[];
  readonly trainings: readonly Omit<TrainingReport, "tensors" | "log">[];
  readonly evaluations: readonly EvaluationReport[];
  readonly comparisons: readonly ComparisonReport[];
  readonly sampleSets: readonly SampleSet[];
  readonly withheld: readonly WithheldSet[];
  readonly sweep: readonly SweepReport[];
  readonly spectra: readonly SpectrumReport[];
  readonly noSpectra?: string;
  readonly run?: RunReport;
  readonly experiments: readonly ExperimentReport[];
  /** vega-lite specifications by name, for use elsewhere. */
  readonly plots: Readonly<Record<string, PlotSpec>>;
  readonly heatMaps: Readonly<Record<string, HeatSpec>>;
}

/** Put together what a page shows. Answers that may do harm are in it only with `showHarmful`. */
export function reportData(input: ReportInput): ReportData {
  const { evaluations = [], trainings = [], sweep = [], spectra = [], nSamples = 0, showHarmful = false } = input;
  const repairs = input.repairs.map(pageRepair);
  const { sets, withheld } = sampleSets(evaluations, { nSamples, showHarmful });
  return {
    schemaVersion: pageSchemaVersion,
    toolVersion: input.toolVersion,
    repairs,
    trainings: trainings.map(({ tensors: _t, log: _l, ...training }) => training),
    evaluations: evaluations.map(({ answers, ...rest }) => ({ ...rest, nAnswers: answers.length })),
    comparisons: input.comparisons ?? [],
    sampleSets: sets.filter(({ samples }) => samples.length > 0),
    withheld,
    sweep,
    spectra,
    noSpectra: input.noSpectra,
    run: input.run,
    experiments: input.experiments ?? [],
    plots: reportPlots({ repairs: input.repairs, trainings, sweep, spectra, experiments: input.experiments ?? [] }),
    heatMaps: Object.fromEntries(
      repairs
        .slice(0, 1)
        .flatMap(heatMapsOf)
        .map((map) => [map.name, heatSpec(map)]),
    ),
  };
}

function pageRepair({ tensors: _, layers, ...repair }: RepairReport): PageRepair {
  const bare = layers.map(({ layer, linears }) => ({ layer, linears: linears.map(({ blocks: _b, ...rest }) => rest) }));
  return { ...repair, layers: bare };
}

/** The data of a page as a file: keys in the order of `reportData`, infinite numbers by their names. */
export function reportDataJson(data: ReportData): string {
  return `${JSON.stringify(data, finite, 2)}\n`;
}

/** JSON has no Infinity (a strength may be); `Number()` reads its name back. */
export function finite(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}
