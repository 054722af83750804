import type { EngineInfo } from "@safedelta/engine";
import type { Rung } from "./ladder.ts";
import type { Result } from "./measure.ts";
import type { Whole } from "./whole.ts";

const nameWidth = 48;
const cellWidth = 12;

/** The head of the table: what ran, and against what. */
export function head(info: EngineInfo, peer: string | undefined): string {
  const columns = [
    "median ms",
    "least ms",
    "GFLOP/s",
    "GB/s",
    "deviation",
    ...(peer ? ["peer median", "peer least", "ratio", "(range)"] : []),
  ];
  const title = `${info.name}: ${info.description}${peer ? `\npeer: ${peer}; ratio = its least time / ours` : ""}`;
  return `${title}\n${"".padEnd(nameWidth)}${columns.map((text) => text.padStart(cellWidth)).join("")}`;
}

/** One line of the ladder. */
export function rungLine({ border, rung, medianNs, leastNs }: Rung): string {
  return `${`${border}: ${rung}`.padEnd(nameWidth)}${`${medianNs.toFixed(0)} ns`.padStart(cellWidth)}${`${leastNs.toFixed(0)} ns`.padStart(cellWidth)}`;
}

/** One line of a whole command. */
export function wholeLine({ name, ms, nCalls, borderShare }: Whole): string {
  const share = `${(100 * borderShare).toPrecision(2)} % of it the border`;
  return `${name.padEnd(nameWidth)}${`${ms.toFixed(0)} ms`.padStart(cellWidth)}   ${nCalls} calls, ${share}`;
}

/** One line of the table. */
export function line({ name, medianMs, leastMs, gflops, gigabytes, error, versus }: Result): string {
  const rates = [gflops, gigabytes].map((rate) => rate?.toFixed(1) ?? "");
  const cells = [number(medianMs), number(leastMs), ...rates, error.toExponential(1)];
  if (versus) {
    const { peer, ratio, range } = versus;
    const [least, most] = range.map((value) => value.toFixed(2));
    cells.push(number(peer.medianMs), number(peer.leastMs), ratio.toFixed(2), `(${least}-${most})`);
  }
  return name.padEnd(nameWidth) + cells.map((text) => text.padStart(cellWidth)).join("");
}

function number(ms: number): string {
  return ms < 0.1 ? ms.toPrecision(2) : ms.toFixed(2);
}
