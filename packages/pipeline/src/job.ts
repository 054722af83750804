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
  readonly parts: Parts;
}

/** Names a job. */
export function fingerprintOf(job: PrepareJob): string {
  return sha256(stableJson(job));
}

/** The job that a state was made by. */
export function jobOfState({ toolVersion, engine, model, safeData, parts }: StateManifest): PrepareJob {
  const { file: _, ...data } = safeData;
  return { toolVersion, engine, model: model.sha256, data, parts };
}

/** True when a state made by `made` is, or holds, what `wanted` would make. */
export function holds(made: PrepareJob, wanted: PrepareJob): boolean {
  const groups = Object.keys(wanted.parts) as (keyof Parts)[];
  const has = groups.every((group) => wanted.parts[group].every((part) => made.parts[group].includes(part)));
  return has && fingerprintOf({ ...made, parts: wanted.parts }) === fingerprintOf(wanted);
}

/** In words, what tells one job from another that is wanted in its place. */
export function differences(made: PrepareJob, wanted: PrepareJob): string {
  const { data, parts } = made;
  const same = (a: unknown, b: unknown) => stableJson(a) === stableJson(b);
  const changed = (Object.keys(wanted.data) as (keyof typeof data)[]).filter((key) => data[key] !== wanted.data[key]);
  const settings = changed.filter((key) => dataWords[key] !== undefined);
  const words = [
    made.toolVersion !== wanted.toolVersion && `version ${made.toolVersion} instead of ${wanted.toolVersion}`,
    made.model !== wanted.model && "another model",
    ...settings.map((key) => `${dataWords[key]} ${data[key]} instead of ${wanted.data[key]}`),
    changed.length > 0 && settings.length === 0 && "other safe data",
    !same(made.engine, wanted.engine) && `engine ${named(made.engine)} instead of ${named(wanted.engine)}`,
    !same(parts, wanted.parts) && `modes ${partWords(parts)} instead of ${partWords(wanted.parts)}`,
  ];
  return words.filter((word) => word !== false).join("; ");
}

/** What of the data a user sets; the rest of the facts follows. */
const dataWords: { readonly [K in keyof DataFacts]?: string } = {
  nExamples: "samples",
  seed: "seed",
  maxTokens: "max-tokens",
  systemPrompts: "system-prompts",
};

function named({ name, description }: EngineStamp): string {
  return `${name} (${description})`;
}
