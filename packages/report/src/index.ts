export { ReportError } from "./errors.ts";
export { formatBytes, formatMs, formatNumber, formatPercent, formatRate, type Interval } from "./format.ts";
export { type Axis, type PlotOptions, type Point, type Series, scatterPlot } from "./scatterPlot.ts";
export { type Align, type TableOptions, table } from "./table.ts";
