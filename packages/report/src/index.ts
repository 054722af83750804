export { ReportError } from "./errors.ts";
export { experimentMarkdown, experimentNotes, experimentText } from "./experimentTable.ts";
export { formatBytes, formatMs, formatNumber, formatPercent, formatRate, type Interval } from "./format.ts";
export { lossPlot } from "./lossPlot.ts";
export { markdownTable } from "./markdown.ts";
export { modelCard } from "./modelCard.ts";
export type {
  AnswerReport,
  ComparisonReport,
  EvaluationInput,
  EvaluationReport,
  MetricReport,
  SampleSet,
} from "./page/evaluations.ts";
export {
  type ExperimentCase,
  type ExperimentColumn,
  type ExperimentReport,
  type ExperimentRow,
  type ExperimentValue,
  incompleteNote,
  planeOf,
} from "./page/experiments.ts";
export {
  type PageRepair,
  type ReportData,
  type ReportInput,
  type RunReport,
  reportData,
  reportDataJson,
  type SpectrumReport,
  type SweepReport,
} from "./page/reportData.ts";
export { pageDataId, reportPage } from "./page/reportPage.ts";
export { reportText } from "./page/reportText.ts";
export { pageColors } from "./page/style.ts";
export { visible } from "./page/visible.ts";
export { drawPlot, plotSvg } from "./plots/drawPlot.ts";
export { type CasePlots, casePlots } from "./plots/planePlots.ts";
export {
  type LinePlot,
  linePlot,
  type PlotAxis,
  type PlotRow,
  type PlotSpec,
  seriesOf,
  ticksOf,
} from "./plots/plotSpec.ts";
export { trainingPlot } from "./plots/reportPlots.ts";
export {
  type DataSource,
  type EvaluationRow,
  type LayerReport,
  type LinearReport,
  type ModelSource,
  type RepairReport,
  type ReportBudget,
  type RivalReport,
  ratio,
  type Totals,
  totalsOf,
} from "./repairReport.ts";
export { type Role, settingOf, taskWords } from "./repairWords.ts";
export { reportJson, reportProblems, reportSchemaVersion, type SavedReport, wasAltered } from "./reportJson.ts";
export { type Axis, type PlotOptions, type Point, type Series, scatterPlot } from "./scatterPlot.ts";
export { type Align, type TableOptions, table } from "./table.ts";
export { trainingCard } from "./trainingCard.ts";
export { type TrainingReport, type TrainingUpdate, trainingJson } from "./trainingReport.ts";
