import { placesOf } from "./drawPlot.ts";
import type { PlotRow, PlotSpec } from "./plotSpec.ts";

/** Marks that are no farther apart than this hide each other, in units of the picture: their radius. */
const near = 5;

/** Points that lie in one place of a plot, so that one of them is seen; each group from the left, with the place of its first. */
export function pointsTogether(spec: PlotSpec): PlotRow[][] {
  if (!spec.mark.point) return [];
  const { x, y } = placesOf(spec);
  const groups: PlotRow[][] = [];
  for (const row of spec.data.values.toSorted((a, b) => a.x - b.x)) {
    const isHere = ([first]: PlotRow[]) => Math.hypot(x(first.x) - x(row.x), y(first.y) - y(row.y)) <= near;
    const group = groups.find(isHere);
    if (group) group.push(row);
    else groups.push([row]);
  }
  return groups.filter(({ length }) => length > 1);
}
