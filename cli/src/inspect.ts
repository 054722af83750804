import { join } from "node:path";
import {
  type Checkpoint,
  classifyPath,
  openAdapter,
  openCheckpoint,
  openSafetensors,
  type TensorInfo,
  tensorBytes,
} from "@safedelta/checkpoint";
import { checkTensors, type ModelConfig, ModelError, parseConfig } from "@safedelta/model";
import { openState, PipelineError, type Progress, partWords, tellOpening, whatIsUnfinished } from "@safedelta/pipeline";
import { formatBytes, formatNumber, table } from "@safedelta/report";
import { dataLine, ownLine } from "./words.ts";

/** What was found, for a program and for a person. */
export interface Inspected {
  readonly facts: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** Look into anything that the other commands read or write. */
export async function openInspected(path: string, offline: boolean, progress: Progress): Promise<Inspected> {
  const kind = await classifyPath(path);
  if (kind === "state") return inspectState(path);
  if (kind === "adapter") return inspectAdapter(path);
  if (kind === "safetensors") return inspectFile(path);
  const unfinished = kind === "unknown" ? await whatIsUnfinished(path) : undefined;
  if (unfinished !== undefined) throw new PipelineError("incompatible", unfinished);
  return inspectModel(path, offline, progress);
}

async function inspectModel(spec: string, offline: boolean, progress: Progress): Promise<Inspected> {
  const checkpoint = await openCheckpoint(spec, { offline, ...tellOpening(progress) });
  await using _closed = { [Symbol.asyncDispose]: () => checkpoint.close() };
  const { config, problems } = describeConfig(checkpoint);
  const tensors = [...checkpoint.tensors.values()];
  const { kind } = checkpoint;
  const facts = { kind, spec, ...summary(tensors), config, problems, companions: [...checkpoint.companions.keys()] };
  const lines = [
    `${spec}: ${kind}, ${sizeLine(tensors)}`,
    ...(config ? [configLine(config)] : []),
    `files: ${facts.companions.join(", ")}`,
  ];
  const repair = kind === "folder" ? await repairOf(spec) : undefined;
  if (repair) lines.push(...repair.lines);
  return {
    facts: { ...facts, repaired: repair?.facts },
    text: [...lines, ...problems.map((problem) => `problem: ${problem}`)].join("\n"),
  };
}

/** What safedelta.json beside a repaired model or adapter says of it in short; undefined for others. */
async function repairOf(folder: string) {
  const found = await Bun.file(join(folder, "safedelta.json"))
    .json()
    .catch(() => undefined);
  const { toolVersion, mode, budget, rival } = found ?? {};
  const check = `check it with: ${ownLine(["verify", folder])}`;
  const page = join(folder, "report.html");
  const report = (await Bun.file(page).exists()) ? page : undefined;
  const told = report === undefined ? [] : [`report: ${report}, a page for the browser`];
  if (typeof rival?.method === "string") {
    const line = `made: by safedelta ${toolVersion} with ${rival.method}; ${check}`;
    return { facts: { toolVersion, rival, report }, lines: [line, ...told] };
  }
  if (typeof mode !== "string" || typeof budget?.kind !== "string") return undefined;
  const line = `repaired: by safedelta ${toolVersion} with mode ${mode}, --${budget.kind} ${budget.value}; ${check}`;
  return { facts: { toolVersion, mode, budget, report }, lines: [line, ...told] };
}

/** A model that is not supported has problems instead of a configuration. */
function describeConfig(checkpoint: Checkpoint): { config?: ModelConfig; problems: readonly string[] } {
  try {
    const config = parseConfig(checkpoint.config);
    return { config, problems: checkTensors(config, checkpoint.tensors) };
  } catch (error) {
    if (error instanceof ModelError) return { problems: error.problems };
    throw error;
  }
}

async function inspectState(folder: string): Promise<Inspected> {
  const { manifest, sha256 } = await openState(folder);
  const { layers, ...rest } = manifest;
  const text = [
    `${folder}: state of ${manifest.model.spec}, ${layers.length} layers, for the modes ${partWords(manifest.parts)}`,
    dataLine(manifest.safeData),
    `engine: ${manifest.engine.name}, made by safedelta ${manifest.toolVersion}; damping: ${manifest.damping} of the mean diagonal`,
    table(
      ["layer", "group", "inputs", "dead", "mean diagonal", "damping"],
      layers.flatMap(({ groups }, layer) =>
        groups.map((g) =>
          [layer, g.name, g.cols, g.nDead, formatNumber(g.meanDiagonal), formatNumber(g.damping)].map(String),
        ),
      ),
    ),
  ].join("\n");
  return { facts: { kind: "state", sha256, ...rest, nLayers: layers.length }, text };
}

async function inspectAdapter(folder: string): Promise<Inspected> {
  const adapter = await openAdapter(folder);
  const pairs = [...adapter.pairs.values()].map(({ weight, rank, scale }) => ({ weight, rank, scale }));
  const tensors = [...adapter.tensors.values()];
  const facts = {
    kind: "adapter",
    folder,
    ...summary(tensors),
    pairs,
    replaces: [...adapter.otherTensors.keys()],
    config: adapter.config,
  };
  await adapter.close();
  const repair = await repairOf(folder);
  const ranks = [...new Set(pairs.map(({ rank }) => rank))].join(", ");
  const base = String(adapter.config.base_model_name_or_path ?? "unknown");
  const line = `${folder}: LoRA adapter of "${base}", ${pairs.length} weights, rank ${ranks}, ${sizeLine(tensors)}`;
  return { facts: { ...facts, repaired: repair?.facts }, text: [line, ...(repair?.lines ?? [])].join("\n") };
}

async function inspectFile(path: string): Promise<Inspected> {
  const file = await openSafetensors(path);
  const tensors = [...file.tensors.values()];
  await file.close();
  const rows = tensors.map(({ name, dtype, shape }) => [name, dtype, `[${shape.join(", ")}]`]);
  return {
    facts: { kind: "safetensors", path, ...summary(tensors), tensors },
    text: `${path}: ${sizeLine(tensors)}\n${table(["tensor", "type", "shape"], rows)}`,
  };
}

function summary(tensors: readonly TensorInfo[]) {
  return {
    nTensors: tensors.length,
    bytes: tensors.reduce((sum, info) => sum + tensorBytes(info), 0),
    dtypes: dtypesOf(tensors),
  };
}

function sizeLine(tensors: readonly TensorInfo[]): string {
  const { nTensors, bytes, dtypes } = summary(tensors);
  return `${nTensors} tensors, ${formatBytes(bytes)}, ${dtypes.join(" and ")}`;
}

function dtypesOf(tensors: readonly TensorInfo[]): string[] {
  return [...new Set(tensors.map(({ dtype }) => dtype))];
}

function configLine(config: ModelConfig): string {
  const { family, nLayers, hiddenSize, intermediateSize, nHeads, nKvHeads, vocabularySize, tied } = config;
  return (
    `${family}: ${nLayers} layers, hidden ${hiddenSize}, feed-forward ${intermediateSize}, ${nHeads} heads (${nKvHeads} key/value), ` +
    `vocabulary ${vocabularySize}${tied ? ", tied output" : ""}`
  );
}
