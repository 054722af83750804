import { diffModels, type TensorDiff } from "@safedelta/pipeline";
import { formatNumber, formatPercent, table } from "@safedelta/report";
import { defineCommand, required } from "../command.ts";
import { computeOptions, option } from "../options.ts";

/** `safedelta diff A B` */
export const diffCommand = defineCommand({
  brief: "Show where two models differ",
  help: "A and B are models of any spelling; a bare adapter folder as B applies to A. The norms are Frobenius norms of B − A.",
  args: ["A", "B"],
  options: { offline: computeOptions.offline, all: option.flag("list the tensors that are the same, too") },
  async run(options, [a, b], io) {
    const diffs = await diffModels(required(a, "A"), required(b, "B"), options.offline, io.progress);
    const changed = diffs.filter((diff) => diff.status !== "same");
    io.document({ nTensors: diffs.length, nChanged: changed.length, tensors: diffs });
    const shown = options.all ? diffs : changed;
    if (shown.length > 0)
      io.print(table(["tensor", "status", "‖B − A‖", "relative", "max", "entries"], shown.map(row)));
    for (const { name, nNonFinite } of diffs)
      if (nNonFinite) io.print(`${name}: ${nNonFinite} entries are NaN or infinite in one model or both`);
    io.print(`${changed.length} of ${diffs.length} tensors differ`);
    return undefined;
  },
});

function row({ name, status, norm, relative, maxAbs, changedShare }: TensorDiff): string[] {
  const number = (value: number | undefined) => (value === undefined ? "" : formatNumber(value));
  return [
    name,
    status,
    number(norm),
    number(relative),
    number(maxAbs),
    changedShare === undefined ? "" : formatPercent(changedShare),
  ];
}
