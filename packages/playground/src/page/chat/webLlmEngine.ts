import { absoluteRecord, explainFailure, type ModelRecord } from "@safedelta/mlc/web";
import { get } from "../../worker/remoteCheckpoint.ts";
import type { ChatEngine, Question } from "./chatEngine.ts";
import { orAborted } from "./orAborted.ts";

type WebLlm = typeof import("@mlc-ai/web-llm");
type ModelListEntry = WebLlm["prebuiltAppConfig"]["model_list"][number];

/** A model in its worker. */
interface OpenModel {
  readonly engine: Awaited<ReturnType<WebLlm["CreateWebWorkerMLCEngine"]>>;
  /** Rejects when the worker has ended. */
  readonly broken: Promise<never>;
}

/** Hears how far the loading of a model is, in words. */
export type OnLoading = (model: string, text: string) => void;

/** web-llm on WebGPU, for models exported to the MLC format. It is fetched, and each model is loaded, when it is first asked. */
export function webLlmEngine(onLoading: OnLoading): ChatEngine {
  const open = new Map<string, Promise<OpenModel>>();
  const modelOf = (name: string) => {
    const known = open.get(name) ?? openModel(name, onLoading);
    open.set(name, known);
    known.then(({ broken }) => broken).catch(() => open.delete(name)); // so that the next question tries again
    return known;
  };
  return {
    async *stream(question, signal) {
      try {
        yield* answer(await orAborted(modelOf(question.model), signal), question, signal);
      } catch (error) {
        throw signal.aborted ? signal.reason : new Error(wordsOf(error));
      }
    },
  };
}

/** Loading and the first pass over a prompt may take minutes, so a stop is not kept waiting: what goes on is told to end, unheard. */
async function* answer({ engine, broken }: OpenModel, { messages, maxNewTokens }: Question, signal: AbortSignal) {
  const settings = { max_tokens: maxNewTokens, temperature: 0, stream: true } as const;
  const turns = messages.map((message) => ({ ...message }));
  const asked = engine.chat.completions.create({ ...settings, messages: turns });
  const chunks = await orAborted(Promise.race([asked, broken]), signal);
  const reader = chunks[Symbol.asyncIterator]();
  let isDone = false;
  try {
    while (!isDone) {
      const { done = false, value } = await orAborted(Promise.race([reader.next(), broken]), signal);
      isDone = done;
      const text = value?.choices[0]?.delta.content;
      if (text) yield text;
    }
  } finally {
    if (!isDone) {
      void engine.interruptGenerate();
      reader.return?.().catch(() => {});
    }
  }
}

function wordsOf(error: unknown): string {
  const { what, next, detail } = explainFailure(error);
  return `${what} ${next} (${detail})`;
}

async function openModel(name: string, onLoading: OnLoading): Promise<OpenModel> {
  await requireWebGpu();
  const url = `${location.origin}/mlc/${encodeURIComponent(name)}/resolve/main/web-llm.json`;
  const record = absoluteRecord((await (await get(url)).json()) as ModelRecord, url);
  if (record.model_lib === undefined) throw new Error("Missing `model_lib`");
  const { CreateWebWorkerMLCEngine } = await import("@mlc-ai/web-llm");
  const worker = new Worker("/webLlmWorker.js", { type: "module" });
  const broken = new Promise<never>((_, reject) => {
    worker.onerror = ({ message }) => reject(new Error(`The worker with the model has ended: ${message}`));
  });
  const loading = CreateWebWorkerMLCEngine(worker, record.model_id, {
    appConfig: { model_list: [{ ...record, model_lib: record.model_lib } as ModelListEntry] },
    initProgressCallback: ({ text }) => onLoading(name, text),
    logLevel: "SILENT",
  });
  try {
    return { engine: await Promise.race([loading, broken]), broken };
  } catch (error) {
    worker.terminate();
    throw error;
  }
}

/** @throws Error that says what this browser lacks, as web-llm does */
async function requireWebGpu(): Promise<void> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<object | null> } };
  if (!gpu) throw new Error("WebGPU is not supported");
  if (!(await gpu.requestAdapter())) throw new Error("Unable to find a compatible GPU");
}
