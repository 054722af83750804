import { sha256, stableJson } from "./files.ts";
import { type Parts, partWords } from "./parts.ts";
import type { DataFacts } from "./sequences.ts";
import type { StateManifest } from "./state.ts";
import type { EngineStamp } from "./version.ts";

/** Everything that decides the bytes of a state. */
export interface PrepareJob {
  readonly toolVersion: string;
  readonly engine: EngineStamp;
  /** sha256 of the model's content. */
  readonly model: string;
  readonly data: Omit<DataFacts, "file">;
  /** Share of the mean diagonal that was added to the diagonal. */
  readonly damping: number;
  readonly parts: Parts;
}

/** Names a job. */
export function fingerprintOf(job: PrepareJob): string {
  return sha256(stableJson(job));
}

/** The job that a state was made by. */
export function jobOfState({ toolVersion, engine, model, safeData, damping, parts }: StateManifest): PrepareJob {
  const { file: _, ...data } = safeData;
  return { toolVersion, engine, model: model.sha256, data, damping, parts };
}

/** True when a state made by `made` is, or holds, what `wanted` would make. */
export function holds(made: PrepareJob, wanted: PrepareJob): boolean {
  return hasParts(made, wanted) && fingerprintOf({ ...made, parts: wanted.parts }) === fingerprintOf(wanted);
}

function hasParts(made: PrepareJob, wanted: PrepareJob): boolean {
  const groups = Object.keys(wanted.parts) as (keyof Parts)[];
  return groups.every((group) => wanted.parts[group].every((part) => made.parts[group].includes(part)));
}

/** In words, what tells one job from another that is wanted in its place. More modes than are wanted are no difference, see `holds`. */
export function differences(made: PrepareJob, wanted: PrepareJob): string {
  const words = [
    made.toolVersion !== wanted.toolVersion && `version ${made.toolVersion} instead of ${wanted.toolVersion}`,
    made.model !== wanted.model && "another model",
    ...dataDifferences(made.data, wanted.data),
    made.damping !== wanted.damping && `damping ${made.damping} instead of ${wanted.damping}`,
    stableJson(made.engine) !== stableJson(wanted.engine) &&
      `engine ${named(made.engine)} instead of ${named(wanted.engine)}`,
    !hasParts(made, wanted) && `modes ${partWords(made.parts)} instead of ${partWords(wanted.parts)}`,
  ];
  return words.filter((word) => word !== false).join("; ");
}

type JobData = PrepareJob["data"];

/** What of the data a user sets; the rest of the facts follows. */
const settingWords: { readonly [K in keyof JobData]?: string } = {
  nExamples: "samples",
  seed: "seed",
  maxTokens: "max-tokens",
  systemPrompts: "system-prompts",
  nSkipped: "skip-tokens",
  keyWeight: "key-weight",
};

/** Another number of available examples is another file, and the number drawn may be due to it; other examples may be due to the draw. */
function dataDifferences(made: JobData, wanted: JobData): string[] {
  const isOther = (key: keyof JobData) => made[key] !== wanted[key];
  const counts = ({ nExamples, nAvailable }: JobData) => `${nExamples} of ${nAvailable} examples`;
  const resized = isOther("nAvailable");
  const edited = isOther("sha256") && !isOther("seed") && !isOther("nExamples");
  const settings = (Object.keys(settingWords) as (keyof JobData)[]).filter(isOther);
  const told = settings.filter((key) => !(resized && key === "nExamples"));
  const words = [
    resized && `other safe data (${counts(made)} instead of ${counts(wanted)})`,
    !resized && edited && "other safe data",
    ...told.map((key) => `${settingWords[key]} ${made[key] ?? "none"} instead of ${wanted[key] ?? "none"}`),
  ].filter((word) => word !== false);
  return words.length === 0 && isOther("tokensSha256") ? ["other tokens of the same safe data"] : words;
}

function named({ name, description }: EngineStamp): string {
  return `${name} (${description})`;
}
