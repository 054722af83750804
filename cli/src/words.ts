import {
  type ApplyOptions,
  type DataFacts,
  type DataOptions,
  type Device,
  type SafeExamples,
  shellLine,
  type TokenCounting,
} from "@safedelta/pipeline";
import { formatBytes, formatMs } from "@safedelta/report";
import { UsageError } from "./exitCode.ts";

type Mode = ApplyOptions["mode"];

const modes: readonly Mode[] = ["optimal", "exact", "reference", "paper", "none"];

/** A comma-separated list of modes. @throws UsageError naming the modes there are */
export function parseModes(text: string): Mode[] {
  return text.split(",").map((word) => {
    const mode = modes.find((candidate) => candidate === word.trim());
    if (mode === undefined) throw new UsageError(`"${word}" is no mode; there are: ${modes.join(", ")}.`);
    return mode;
  });
}

/** The modes that a state is made for where none are named. */
export const defaultModes = "reference,optimal";

/** A remark on data that hold fewer examples than the user asks for; undefined where they hold enough. */
export function fewerThanAsked(file: string, nAvailable: number, flag: string, samples: number): string | undefined {
  if (nAvailable >= samples) return undefined;
  return `${file}: holds ${nAvailable} examples, fewer than ${flag} ${samples}; all of them are taken.`;
}

/** The data options out of the flags. */
export function describeData(
  file: string,
  flags: Pick<DataOptions, "samples" | "seed" | "maxTokens" | "systemPrompts">,
): DataOptions {
  const { samples, seed, maxTokens, systemPrompts } = flags;
  return { file, samples, seed, maxTokens, systemPrompts };
}

/** The safe examples and which of their tokens count. @throws UsageError for a weight or a damping out of range */
export function describeSafe(
  file: string,
  flags: Parameters<typeof describeData>[1] & TokenCounting & { readonly damping?: number },
): SafeExamples {
  const { skipTokens, keyWeight, damping } = flags;
  requireFactor("--key-weight", keyWeight);
  requireFactor("--damping", damping);
  return { safeData: { ...describeData(file, flags), skipTokens, keyWeight }, damping };
}

/** Beyond these f32 has nothing left of the statistics, or of what is added to them. */
const [leastFactor, mostFactor] = [1e-6, 1e6];

/** @throws UsageError for what is given and out of range */
function requireFactor(flag: string, value: number | undefined): void {
  if (value === undefined || (value >= leastFactor && value <= mostFactor)) return;
  throw new UsageError(`${flag} ${value} must lie between ${leastFactor} and ${mostFactor}.`);
}

/** What was read, in one line. */
export function dataLine(facts: DataFacts): string {
  const cut = facts.nCut > 0 ? `, ${facts.nCut} cut at ${facts.maxTokens} tokens` : "";
  const skipped = facts.nSkipped ? `, the first ${facts.nSkipped} of each left out` : "";
  const keys = facts.keyWeight === undefined ? "" : `, key tokens ${facts.keyWeight} times`;
  return (
    `data: ${facts.nExamples} of ${facts.nAvailable} examples of ${facts.file} (seed ${facts.seed}), ` +
    `${facts.nTokens} tokens${cut}${skipped}${keys}, system prompts: ${facts.systemPrompts}`
  );
}

/** What a run needs. */
export interface Needs {
  readonly flop: number;
  readonly memoryBytes: number;
  /** On disk while it works. */
  readonly workBytes: number;
}

/** What a run needs, with a time guess by the rate that products have on a device. */
export function timed<T extends Needs>(needs: T, { productFlops }: Device): T & { readonly seconds: number } {
  return { ...needs, seconds: needs.flop / productFlops };
}

/** What a time guess rests on, for a program: an infinite rate of the device would be no JSON. */
export function assumption({ name, basis, productFlops }: Device) {
  return { name, basis, productFlops };
}

/** Sizes, work and a time guess of a run that leaves `keptBytes` on the disk. */
export function planLine(needs: Needs, keptBytes: number, device: Device): string {
  const rate = `${Number((device.productFlops / 1e9).toPrecision(3))} GFLOP/s`;
  const time = formatMs(1000 * timed(needs, device).seconds);
  return `${sizesLine(needs, keptBytes)}, about ${time} at ${rate}, assumed of ${device.name}`;
}

/** Sizes and work of a run that leaves `keptBytes` on the disk. */
export function sizesLine({ flop, memoryBytes, workBytes }: Needs, keptBytes: number): string {
  const work = workBytes > 0 ? ` (and ${formatBytes(workBytes)} meanwhile)` : "";
  const memory = formatBytes(memoryBytes);
  return `${formatBytes(keptBytes)} on disk${work}, about ${memory} of memory, ${(flop / 1e12).toPrecision(3)} TFLOP`;
}

/** A command of ours as the user can type it: by way of npx for those who came that way, and so may have no bun of their own. */
export function ownLine(words: readonly string[], bun: string = process.execPath): string {
  const runner = bun.includes("/_npx/") ? `npx -y bun@${Bun.version}` : "bun";
  return `${runner} run safedelta ${shellLine(words)}`;
}
