import { formatShare } from "../format.ts";
import { ratio } from "../repairReport.ts";
import { settingOf } from "../repairWords.ts";
import type { PageRepair, ReportData } from "./reportData.ts";

/** The points of the curve in numbers, as shares of the fine-tuning's. */
export function pointTable(repairs: readonly PageRepair[], sweep: ReportData["sweep"]) {
  const made = repairs.map((repair, i) => ({
    ...repair.totals,
    name: `${i === 0 ? "this model: " : ""}${settingOf(repair)}`,
  }));
  const swept = sweep.map((point) => ({ ...point, name: `${point.mode} ${point.budget}` }));
  const rows = [...made, ...swept].map(
    ({ name, safetyLossShare, utilityGap, deltaNorm, tunedDeltaNorm, keptShare }) => [
      name,
      formatShare(safetyLossShare),
      formatShare(ratio(Math.sqrt(utilityGap), tunedDeltaNorm)),
      formatShare(ratio(deltaNorm, tunedDeltaNorm)),
      formatShare(keptShare),
    ],
  );
  const columns = ["setting", "safety loss", "distance ‖D − Δ‖/‖Δ‖", "change left ‖D‖/‖Δ‖", "kept bit for bit"];
  return { columns, rows };
}
