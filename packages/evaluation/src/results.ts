import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Message } from "@safedelta/data";
import { EvaluationError } from "./errors.ts";
import { mean } from "./mean.ts";
import type { Judgement, JudgeSource, MetricSummary, Settings } from "./scorer.ts";

/** One example with everything that was said about it; a line of samples_<task>_<time>.jsonl. */
export interface Sample {
  readonly index: number;
  readonly messages: readonly Message[];
  readonly reference?: string;
  /** Not there where nothing was generated. */
  readonly answer?: string;
  readonly judgements: Readonly<Record<string, Judgement>>;
}

/** results_<time>.json: the table, and what it rests on. */
export interface Results {
  readonly task: string;
  readonly time: string;
  readonly samplesFile: string;
  readonly promptsSha256: string;
  /** What tells the model that answered from others. */
  readonly model?: Readonly<Record<string, unknown>>;
  /** How the answers were made. */
  readonly decoding?: Settings;
  readonly version?: string;
  readonly metrics: readonly MetricSummary[];
  /** Who gave the values of a judge's metric, by the metric's name. */
  readonly judges?: Readonly<Record<string, JudgeSource>>;
  /** What else a metric's values rest on, by the metric's name. */
  readonly settings?: Readonly<Record<string, Settings>>;
}

/** Whether a file of that name is an evaluation's. */
export function isResultsName(name: string): boolean {
  return /^results_.*\.json$/.test(name);
}

/**
 * Write samples first and results last, never over what stands there; then the kept answers may go.
 * @returns the path of the results @throws EvaluationError when the names are taken
 */
export async function saveResults(
  folder: string,
  results: Results & Readonly<Record<string, unknown>>,
  samples: readonly Sample[],
  keptFiles: readonly string[],
): Promise<string> {
  const path = join(folder, `results_${results.time}.json`);
  await writeNew(join(folder, results.samplesFile), samples.map((sample) => `${JSON.stringify(sample)}\n`).join(""));
  await writeNew(path, `${JSON.stringify(results, null, 2)}\n`);
  for (const file of keptFiles) await rm(file, { force: true });
  return path;
}

async function writeNew(path: string, text: string): Promise<void> {
  await writeFile(path, text, { flag: "wx", flush: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EEXIST") throw new EvaluationError(`${path} is there already and is never replaced; run again`);
    throw error;
  });
}

/** Read a finished evaluation. @throws EvaluationError naming the file that is missing or broken, or whose answers give other metrics */
export async function readResults(path: string): Promise<{ results: Results; samples: Sample[] }> {
  const results = await parsed(path, (text) => JSON.parse(text) as Results);
  if (typeof results?.samplesFile !== "string" || !Array.isArray(results.metrics))
    throw new EvaluationError(`${path}: these are no results of safedelta eval`);
  const file = join(dirname(path), basename(results.samplesFile));
  const lines = (text: string) => text.split("\n").filter((line) => line !== "");
  const samples = await parsed(file, (text) => lines(text).map((line) => JSON.parse(line) as Sample));
  for (const metric of results.metrics) requireOwn(path, file, metric, samples);
  return { results, samples };
}

/** A metric follows from its answers: where it does not, they are cut off, changed or another evaluation's. @throws EvaluationError */
function requireOwn(path: string, file: string, summary: MetricSummary, samples: readonly Sample[]): void {
  const { metric, n, nUnparsed, value } = summary;
  const values = samples.map(({ judgements }) => judgements?.[metric]?.value).filter((found) => found !== undefined);
  // JSON has no infinity: such a value is null.
  const isSame = typeof value !== "number" || Math.abs(mean(values) - value) <= 1e-9 * Math.max(1, Math.abs(value));
  if (samples.length === n + nUnparsed && values.length === n && isSame) return;
  const told = (count: number, of: number, at: number | undefined) =>
    `${count} of ${of} answers, value ${at ?? "none"}`;
  const found = told(values.length, samples.length, values.length === 0 ? undefined : mean(values));
  throw new EvaluationError(
    `${path} and ${file} do not belong together: ${metric} judges ${told(n, n + nUnparsed, value)} there, and ${found} here. ` +
      "Restore the file that was changed, or evaluate again",
  );
}

async function parsed<T>(path: string, parse: (text: string) => T): Promise<T> {
  try {
    return parse(await readFile(path, "utf8"));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EISDIR") throw new EvaluationError(`${path} is a folder; ${await resultsIn(path)}`);
    throw new EvaluationError(`${path} cannot be read: ${code === "ENOENT" ? "there is no such file" : message}`);
  }
}

async function resultsIn(folder: string): Promise<string> {
  const files = await filesIn(folder);
  return files.length === 0 ? nothingIn : `name the results in it: ${files.join(", ")}`;
}

const nothingIn = "no evaluation has written into it";

/** The results in a folder, the newest last. */
async function filesIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter(isResultsName).sort();
  return names.map((name) => join(folder, name));
}

/** The results that a path names: a file itself, of a folder the newest in it. @throws EvaluationError for a folder without any */
export async function resultsAt(path: string): Promise<string> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) return path;
  const newest = (await filesIn(path)).at(-1);
  if (newest === undefined) throw new EvaluationError(`${path}: ${nothingIn}`);
  return newest;
}
