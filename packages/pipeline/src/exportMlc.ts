import { readdir, readFile } from "node:fs/promises";
import { basename } from "node:path";
import {
  type Conversation,
  chatConfigOf,
  conversationOf,
  goesAlong,
  isExported,
  type LibraryMetadata,
  layoutOf,
  libraryDifferences,
  MlcError,
  type ModelRecord,
  type Planned,
  planOutput,
  planTensor,
  prebuiltLibrary,
  type Quant,
  type QuantName,
  quantOf,
  readLibrary,
  recordOf,
  writeMlc,
} from "@safedelta/mlc";
import { stopIdsOf } from "@safedelta/model";
import type { Message } from "@safedelta/tokenizer";
import { PipelineError, problemsError } from "./errors.ts";
import { guardFile, requireDisk, requireNoDeadLink, requirePlace } from "./files.ts";
import { lockFolder } from "./lock.ts";
import { type OpenedModel, openModelFiles, openModelTokenizer } from "./models.ts";
import type { Progress } from "./progress.ts";

/** What `export mlc` is asked for. */
export interface ExportMlcOptions {
  readonly model: string;
  readonly out: string;
  readonly quant: QuantName;
  /** A model library: checked against the export, and put beside it. */
  readonly library?: string;
  readonly offline: boolean;
  readonly overwrite: boolean;
}

/** What an export is. */
export interface ExportMlcFacts {
  readonly quant: QuantName;
  readonly nTensors: number;
  readonly nShards: number;
  /** Of the weights, what else there is being small. */
  readonly bytes: number;
  readonly bitsPerWeight: number;
  /** The known kind of chat template, and how a system message is to be wrapped for web-llm where it does not do so itself. */
  readonly chat: { readonly name: string; readonly systemWrap?: string };
  /** Where the library is that web-llm is to take. */
  readonly library: "given" | "prebuilt" | "none";
  readonly record: ModelRecord;
}

/** An open model with all that is written of it. */
interface Plan {
  readonly quant: Quant;
  readonly tensors: readonly Planned[];
  readonly conversation: Conversation;
  readonly library?: LibraryFile;
  readonly facts: ExportMlcFacts;
}

interface LibraryFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly metadata: LibraryMetadata;
}

/**
 * Check everything about an export without writing.
 * @throws PipelineError `usage` for the folder and the library's name; `incompatible` for a model, template or library that does not
 * fit, with every difference; `resources` for the disk
 */
export async function planExportMlc(options: ExportMlcOptions, progress: Progress): Promise<ExportMlcFacts> {
  await using model = await openModelFiles(options.model, options.offline, progress);
  return (await planFor(model, options)).facts;
}

/**
 * Write a model as web-llm reads it: weights, mlc-chat-config.json, tokenizer, and web-llm.json with the entry for its model list.
 * @throws as `planExportMlc`; CheckpointError for a tensor that cannot be read
 */
export async function exportMlc(options: ExportMlcOptions, progress: Progress): Promise<ExportMlcFacts> {
  await using model = await openModelFiles(options.model, options.offline, progress);
  const plan = await planFor(model, options);
  await using _lock = await lockFolder(options.out);
  await requireFreeFolder(options);
  const files = await filesOf(model, plan);
  progress.stage("tensors", plan.tensors.length);
  const output = { quant: plan.quant, tensors: plan.tensors, files, onTensor: (name: string) => progress.step(name) };
  await guardFile(options.out, () => explained(options.model, () => writeMlc(options.out, model.checkpoint, output)));
  return plan.facts;
}

async function planFor(model: OpenedModel, options: ExportMlcOptions): Promise<Plan> {
  const { config, checkpoint } = model;
  await requireFreeFolder(options);
  const quant = quantOf(options.quant);
  const [tensors, conversation] = await explained(options.model, async () => {
    const layout = layoutOf(config).map((tensor) => planTensor(tensor, quant, checkpoint.tensors));
    return [layout, await conversationFor(model)] as const;
  });
  const library = options.library === undefined ? undefined : await readLibraryFile(options.library);
  if (library && options.library !== undefined) requireFits(options.library, library, model, quant, tensors);
  const { shards, bytes, nWeights } = planOutput(tensors);
  await requireDisk(options.out, bytes + 2 ** 20, "export mlc", []);
  const address = library ? `./${library.name}` : prebuiltLibrary(config, quant.name);
  const facts: ExportMlcFacts = {
    quant: quant.name,
    nTensors: shards.reduce((sum, { records }) => sum + records.length, 0),
    nShards: shards.length,
    bytes,
    bitsPerWeight: (8 * bytes) / nWeights,
    chat: { name: conversation.template.name, systemWrap: conversation.systemWrap },
    library: library ? "given" : address === undefined ? "none" : "prebuilt",
    record: recordOf(`${basename(model.name)}-${quant.name}`, config, quant, address),
  };
  return { quant, tensors, conversation, library, facts };
}

async function conversationFor(model: OpenedModel): Promise<Conversation> {
  const tokenizer = await openModelTokenizer(model);
  const { bosId } = tokenizer;
  return conversationOf({
    render: (turns) => tokenizer.renderChat(turns as readonly Message[], { addGenerationPrompt: true }),
    tokenId: (text) => tokenizer.tokenId(text),
    bos: bosId === undefined ? undefined : tokenizer.decode([bosId], { skipSpecialTokens: false }),
    eosIds: stopIdsOf(tokenizer, model.config),
  });
}

/** @throws PipelineError `usage` when the folder holds anything but a former export, or that and `overwrite` is false */
async function requireFreeFolder({ out, overwrite }: ExportMlcOptions): Promise<void> {
  await requireNoDeadLink(out);
  await requirePlace(out);
  const names = (await readdir(out).catch((): string[] => [])).filter((name) => !name.startsWith("."));
  const foreign = names.find((name) => !isExported(name));
  const refuse = (why: string) => new PipelineError("usage", `${out}: ${why}`);
  if (foreign !== undefined)
    throw refuse(`holds ${foreign}, which is no part of an export, so nothing is replaced. Choose another --out.`);
  if (names.length > 0 && !overwrite)
    throw refuse("holds an export already. Add --overwrite to replace it, or choose another --out.");
}

async function readLibraryFile(path: string): Promise<LibraryFile> {
  const name = basename(path);
  if (!isExported(name) || !name.endsWith(".wasm"))
    throw new PipelineError("usage", `--lib ${path}: name a file that ends in .wasm, without blanks in its name.`);
  const bytes = await readFile(path).catch((error) => {
    throw new PipelineError("usage", `--lib ${path}: cannot be read (${(error as Error).message}).`, error);
  });
  return { name, bytes, metadata: await explained("--lib", async () => readLibrary(bytes, path)) };
}

/** @throws PipelineError `incompatible` listing every difference */
function requireFits(
  path: string,
  { metadata }: LibraryFile,
  { config, checkpoint }: OpenedModel,
  quant: Quant,
  tensors: readonly Planned[],
): void {
  const differences = libraryDifferences(metadata, {
    modelType: config.family,
    quantization: quant.name,
    kvCache: {
      num_hidden_layers: config.nLayers,
      num_attention_heads: config.nHeads,
      num_key_value_heads: config.nKvHeads,
      head_dim: config.headDim,
    },
    records: tensors.flatMap(({ records }) => records),
  });
  if (differences.length === 0) return;
  throw problemsError("incompatible", `${path} does not compute ${checkpoint.spec} as ${quant.name}:`, differences);
}

/** What lies beside the weights. */
async function filesOf({ checkpoint, config }: OpenedModel, plan: Plan): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const [name, file] of checkpoint.companions) if (goesAlong(name)) files.set(name, await file.bytes());
  const text = (value: unknown) => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
  const tokenizer = JSON.parse(new TextDecoder().decode(files.get("tokenizer.json")));
  const { template } = plan.conversation;
  const chat = chatConfigOf({
    config,
    quant: plan.quant,
    conversation: plan.conversation,
    tokenizer,
    tokenizerFiles: [...files.keys()].filter((name) => /token|vocab|merges/.test(name)),
    prefillChunkSize: plan.library?.metadata.prefillChunkSize,
    bosId: template.system_prefix_token_ids?.[0],
  });
  if (plan.library) files.set(plan.library.name, plan.library.bytes);
  return files.set("web-llm.json", text(plan.facts.record)).set("mlc-chat-config.json", text(chat));
}

/** What MLC has no room for is told with the place. @throws PipelineError `incompatible` */
async function explained<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof MlcError)) throw error;
    throw problemsError("incompatible", `${where} cannot be exported:`, error.problems);
  }
}
