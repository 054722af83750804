import type { SceneModel } from "../../scene.ts";
import type { ChatEngine } from "./chatEngine.ts";
import { webLlmWords } from "./webLlmWords.ts";

type WebLlm = typeof import("@mlc-ai/web-llm");
type MlcEngine = Awaited<ReturnType<WebLlm["CreateMLCEngine"]>>;

/** Hears how far the loading of a model is, in words. */
export type OnLoading = (text: string) => void;

/** web-llm on WebGPU, for models exported to the MLC format. It is fetched, and each model is loaded, when it is first asked. */
export function webLlmEngine(models: readonly SceneModel[], onLoading: OnLoading): ChatEngine {
  const open = new Map<string, Promise<MlcEngine>>();
  const engineOf = (name: string) => {
    const known = open.get(name) ?? openModel(models.find((model) => model.name === name) as SceneModel, onLoading);
    open.set(name, known);
    known.catch(() => open.delete(name)); // so that the next question tries again
    return known;
  };
  return {
    async *stream({ model, messages, maxNewTokens }, signal) {
      try {
        const engine = await engineOf(model);
        const settings = { max_tokens: maxNewTokens, temperature: 0, stream: true } as const;
        const turns = messages.map((message) => ({ ...message }));
        for await (const { choices } of await engine.chat.completions.create({ ...settings, messages: turns })) {
          if (signal.aborted) await engine.interruptGenerate();
          signal.throwIfAborted();
          const text = choices[0]?.delta.content;
          if (text) yield text;
        }
      } catch (error) {
        throw signal.aborted ? signal.reason : new Error(webLlmWords(error));
      }
    },
  };
}

async function openModel({ name, libraryFile }: SceneModel, onLoading: OnLoading): Promise<MlcEngine> {
  await requireWebGpu();
  const { CreateMLCEngine } = await import("@mlc-ai/web-llm");
  const model = `${location.origin}/mlc/${encodeURIComponent(name)}/resolve/main/`;
  if (libraryFile === undefined)
    throw new Error(`no library: ${name} was exported without one; export it again with --lib LIBRARY.wasm`);
  const record = { model, model_id: name, model_lib: model + encodeURIComponent(libraryFile) };
  return CreateMLCEngine(name, {
    appConfig: { model_list: [record] },
    initProgressCallback: ({ text }) => onLoading(text),
    logLevel: "SILENT",
  });
}

/** @throws Error that says what this browser lacks */
async function requireWebGpu(): Promise<void> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<object | null> } };
  if (!gpu) throw new Error("no WebGPU in this browser");
  if (!(await gpu.requestAdapter())) throw new Error("no WebGPU adapter on this computer");
}
