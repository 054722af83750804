/** What a page of another kind takes from reports: nothing here imports anything that a browser lacks. */

export { formatNumber } from "./format.ts";
export { type HeatLinear, type HeatMap, heatMapsOf, heatTable } from "./page/heatMap.ts";
export type { Markup } from "./page/html.ts";
export { heatStyle } from "./page/style.ts";
