import { basename, resolve } from "node:path";
import { type Checkpoint, openCheckpoint, requireFinite, resolveSpec } from "@safedelta/checkpoint";
import { checkTensors, expectedTensors, type ModelConfig, ModelError, parseConfig } from "@safedelta/model";
import {
  collectTokenizerFiles,
  fingerprint,
  openTokenizer,
  type Tokenizer,
  TokenizerError,
} from "@safedelta/tokenizer";
import { PipelineError, problemsError } from "./errors.ts";
import { sha256, stableJson } from "./files.ts";
import { type Progress, tellOpening } from "./progress.ts";

/** An opened model: its files and what they describe. Disposing it closes the files. */
export interface OpenedModel extends AsyncDisposable {
  readonly checkpoint: Checkpoint;
  readonly config: ModelConfig;
  /** sha256 of config.json's content. */
  readonly configSha256: string;
  /** What the model is called where it is published: its Hub id, or the base name of a local folder or file. */
  readonly name: string;
  /** What the header of its model card states. */
  readonly licence?: string;
}

/**
 * Open a model by any spelling (folder, Hub id, BASE+ADAPTER, file.gguf) and check that every tensor is there in its shape.
 * @param progress hears of downloads and oddities
 * @param base the model that a bare adapter folder applies to
 * @throws CheckpointError; PipelineError `incompatible` listing what of its config is not supported, or every missing or
 * misshapen tensor
 */
export async function openModelFiles(
  spec: string,
  offline: boolean,
  progress: Progress,
  base?: Checkpoint,
): Promise<OpenedModel> {
  await using opened = new AsyncDisposableStack();
  const checkpoint = await openCheckpoint(spec, { offline, base, ...tellOpening(progress) });
  opened.defer(() => checkpoint.close());
  const config = readConfig(checkpoint);
  const problems = checkTensors(config, checkpoint.tensors);
  if (problems.length > 0) throw problemsError("incompatible", `${spec} cannot be used:`, problems);
  const configSha256 = sha256(stableJson(checkpoint.config));
  const [name, licence] = [await publicName(spec), await readLicence(checkpoint)];
  const held = opened.move();
  return { checkpoint, config, configSha256, name, licence, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

function readConfig({ spec, config }: Checkpoint): ModelConfig {
  try {
    return parseConfig(config);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw problemsError("incompatible", `${spec} cannot be used:`, error.problems);
  }
}

/** `license` in the front matter of README.md (huggingface.co/docs/hub/model-cards). */
async function readLicence({ companions }: Checkpoint): Promise<string | undefined> {
  const bytes = await companions.get("README.md")?.bytes();
  const header = /^---\r?\n([\s\S]*?)\n---/.exec(new TextDecoder().decode(bytes))?.[1] ?? "";
  return /^license:\s*["']?([\w.+-]+)["']?\s*$/m.exec(header)?.[1];
}

/** A name for public pages, which refuse local paths. Of BASE+ADAPTER it is the adapter's. */
async function publicName(spec: string): Promise<string> {
  const resolved = await resolveSpec(spec);
  if (resolved.kind === "chain") return publicName(resolved.adapter);
  if (resolved.kind === "hub") return resolved.id.repo;
  const name = basename(resolve(resolved.path)).replace(/[^\w.-]+/g, "-");
  return name.replace(/^[-.]+|[-.]+$/g, "") || "model";
}

/** The tokenizer that a model brings. @throws PipelineError `incompatible` when there is none or its files are damaged */
export async function openModelTokenizer({ checkpoint }: OpenedModel): Promise<Tokenizer> {
  const files = await collectTokenizerFiles((name) => checkpoint.companions.get(name)?.bytes());
  if (!files) {
    throw new PipelineError(
      "incompatible",
      `${checkpoint.spec}: has no tokenizer.json. Save it once with transformers: ` +
        "AutoTokenizer.from_pretrained(MODEL).save_pretrained(FOLDER).",
    );
  }
  return withPlace(checkpoint.spec, () => openTokenizer(files));
}

/** What the tokenizer refuses is told with the place. @throws PipelineError `incompatible` */
export function withPlace<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof TokenizerError)) throw error;
    throw new PipelineError("incompatible", `${where}: ${error.message}`, error);
  }
}

/** What of two models must agree before one can repair the other. Warnings do not stop the work. */
export interface PairCheck {
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** What decides which weights there are and what they mean. */
const comparedKeys = [
  "family",
  "nLayers",
  "hiddenSize",
  "intermediateSize",
  "nHeads",
  "nKvHeads",
  "headDim",
  "activation",
  "rmsNormEps",
  "rope",
  "qkNorm",
  "slidingWindow",
] as const;

/** Compare aligned and tuned: sizes, tensors and their shapes, vocabulary, chat template. Lists everything at once. */
export async function checkPair(aligned: OpenedModel, tuned: OpenedModel): Promise<PairCheck> {
  const problems = [...configProblems(aligned.config, tuned.config), ...tensorProblems(aligned, tuned.checkpoint)];
  const warnings: string[] = [];
  const [a, t] = [aligned.checkpoint.companions, tuned.checkpoint.companions];
  if (a.has("tokenizer.json") && t.has("tokenizer.json")) {
    const [first, second] = [await openModelTokenizer(aligned), await openModelTokenizer(tuned)];
    if (fingerprint(first, "vocabulary") !== fingerprint(second, "vocabulary")) {
      problems.push(
        "The vocabularies differ: the two models do not read the same tokens, so their weights cannot be compared.",
      );
    } else if (fingerprint(first, "chatTemplate") !== fingerprint(second, "chatTemplate")) {
      warnings.push("The chat templates differ; the output takes the aligned model's.");
    }
  } else warnings.push("One of the models has no tokenizer.json: that both read the same tokens was not checked.");
  return { problems, warnings };
}

function configProblems(aligned: ModelConfig, tuned: ModelConfig): string[] {
  return comparedKeys
    .map((key) => [key, JSON.stringify(aligned[key]), JSON.stringify(tuned[key])])
    .filter(([, first, second]) => first !== second)
    .map(([key, first, second]) => `config: ${key} is ${first} in the aligned model and ${second} in the tuned one.`);
}

/** Tensors that transformers ignores (stored rotary frequencies, a tied head) may be in one model only. */
function tensorProblems({ checkpoint: aligned, config }: OpenedModel, tuned: Checkpoint): string[] {
  const problems: string[] = [];
  const expected = expectedTensors(config);
  const isOptional = (name: string) => expected.get(name)?.optional === true;
  for (const [name, { shape }] of aligned.tensors) {
    const other = tuned.tensors.get(name);
    if (!other && isOptional(name)) continue;
    if (!other) problems.push(`${name} is missing in the tuned model.`);
    else if (String(other.shape) !== String(shape)) {
      problems.push(`${name} is [${shape}] in the aligned model and [${other.shape}] in the tuned one.`);
    }
  }
  const extra = [...tuned.tensors.keys()].filter((name) => !aligned.tensors.has(name) && !isOptional(name));
  return [...problems, ...extra.map((name) => `${name} is only in the tuned model.`)];
}

/**
 * sha256 of a model's content: config.json, names and bytes of the tensors. One pass over the files.
 * @param counterpart the other model of a pair: only tensors that it has too are counted (what transformers ignores may be in one only)
 * @throws CheckpointError `format` for a tensor with NaN or infinity, before anything is computed from it
 */
export async function hashModel(
  { checkpoint, configSha256 }: OpenedModel,
  counterpart: Checkpoint = checkpoint,
): Promise<ModelHash> {
  const tensors: Record<string, string> = {};
  for (const name of checkpoint.tensors.keys()) {
    if (!counterpart.tensors.has(name)) continue;
    const tensor = await checkpoint.read(name);
    requireFinite(tensor, checkpoint.spec);
    tensors[name] = sha256(tensor.bytes);
  }
  return { sha256: modelSha256(configSha256, tensors), tensors };
}

/** One hash of a model out of the hashes of its config and tensors. */
export function modelSha256(configSha256: string, tensors: Readonly<Record<string, string>>): string {
  return sha256(stableJson({ configSha256, tensors }));
}

/** Hash of a model and of each of its tensors' bytes. */
export interface ModelHash {
  readonly sha256: string;
  readonly tensors: Readonly<Record<string, string>>;
}
