import type { Engine } from "@safedelta/engine";
import { type Beside, type ChatModel, endpointChat, localChat, type Opened } from "@safedelta/evaluation";
import { openModel } from "@safedelta/model";
import { hashModel, openModelFiles, openModelTokenizer } from "@safedelta/pipeline";
import { fingerprint, type Tokenizer } from "@safedelta/tokenizer";
import { UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";
import { type LoadedModel, loadModel } from "../loadModel.ts";
import { type EngineOptions, openTold } from "../openTold.ts";

/** What tells a model from others. */
export type Identity = Readonly<Record<string, unknown>>;

/** A chat model with what tells it from others. */
export interface OpenChat {
  readonly chat: ChatModel;
  readonly identity: Identity;
}

/** A chat model of this machine. */
export interface LocalChat extends OpenChat, Disposable {
  readonly opened: LoadedModel;
}

/** Where a remote model is. */
export interface Remote {
  readonly url: string | undefined;
  readonly model: string | undefined;
  /** Of messages: --endpoint and --model, --judge-endpoint and --judge-model. */
  readonly flags: readonly [url: string, model: string];
  readonly timeoutSeconds: number;
}

/** @throws UsageError without a URL or a name; the key is OPENAI_API_KEY, the URL OPENAI_BASE_URL unless given */
export function openRemote({ url, model, flags, timeoutSeconds }: Remote): OpenChat {
  const base = url ?? (process.env.OPENAI_BASE_URL || undefined);
  if (base === undefined) throw new UsageError(`${flags[0]} (or OPENAI_BASE_URL) is missing.`);
  if (!URL.canParse(base)) throw new UsageError(`${flags[0]}: "${base}" is no URL; write for example http://host/v1.`);
  if (model === undefined) throw new UsageError(`${flags[1]} is missing: what the endpoint calls the model.`);
  const apiKey = process.env.OPENAI_API_KEY || undefined;
  const chat = endpointChat({ url: base, model, apiKey, timeoutMs: 1000 * timeoutSeconds });
  return { chat, identity: { endpoint: base, model } };
}

/** A whole model in an engine. @throws as `openModelFiles` */
export async function openLocal(
  spec: string,
  options: EngineOptions & { readonly offline: boolean; readonly batchSize: number },
  io: Pick<Io, "note" | "progress">,
): Promise<LocalChat> {
  await using files = await openModelFiles(spec, options.offline, io.progress);
  const { sha256 } = await hashModel(files);
  const loaded = await loadModel(files, options, io);
  const { model, tokenizer } = loaded;
  return {
    chat: localChat(spec, model, tokenizer, { batchSize: options.batchSize }),
    opened: loaded,
    identity: identityOf(spec, sha256, tokenizer, model.engine),
    [Symbol.dispose]: () => loaded[Symbol.dispose](),
  };
}

/** The identity of a model as `openLocal` has it: its files are read, but it is not loaded. @throws as `openModelFiles` */
export async function identifyLocal(
  spec: string,
  options: EngineOptions & { readonly offline: boolean },
  io: Pick<Io, "note" | "progress">,
): Promise<Identity> {
  await using files = await openModelFiles(spec, options.offline, io.progress);
  const { sha256 } = await hashModel(files);
  using engine = await openTold(options, io);
  return identityOf(spec, sha256, await openModelTokenizer(files), engine);
}

function identityOf(spec: string, sha256: string, tokenizer: Tokenizer, engine: Engine): Identity {
  return { model: spec, sha256, tokenizer: fingerprint(tokenizer), engine: engine.info.name };
}

/** Another model in the engine of one that is open, to hold it against. @throws as `openModelFiles` */
export async function openBeside(
  { model: { engine } }: Opened,
  spec: string,
  offline: boolean,
  io: Pick<Io, "progress">,
): Promise<Beside & Disposable> {
  await using files = await openModelFiles(spec, offline, io.progress);
  const { sha256 } = await hashModel(files);
  const model = await openModel(engine, files.checkpoint);
  return { model, sha256, [Symbol.dispose]: () => model[Symbol.dispose]() };
}
