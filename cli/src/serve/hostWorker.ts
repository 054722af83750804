import { openModel } from "@safedelta/model";
import { openModelFiles, openModelTokenizer, type Progress } from "@safedelta/pipeline";
import { type FromHost, type HostLimits, ModelHost, type ServedModel, type ToHost } from "@safedelta/serving";
import { type Told, toldOf } from "../exitCode.ts";
import { type EngineOptions, openTold } from "../openTold.ts";

declare const self: Worker;

/** What the worker is to serve: the first message to it. Those after it are the host's. */
export interface HostSetup {
  /** Spelling of each model by the name that it is served by. */
  readonly models: ReadonlyMap<string, string>;
  readonly engine: EngineOptions;
  readonly offline: boolean;
  readonly limits: HostLimits;
  readonly verbose: boolean;
}

/** What the worker says. */
export type HostMessage =
  | { readonly kind: "warn" | "note"; readonly text: string }
  /** With the engine in words. */
  | { readonly kind: "ready"; readonly engine: string }
  | { readonly kind: "failed"; readonly told: Told }
  | { readonly kind: "host"; readonly message: FromHost };

const say = (message: HostMessage) => self.postMessage(message);

const progress: Progress = { stage() {}, step() {}, warn: (text) => say({ kind: "warn", text }) };

async function openHost({ models, engine: options, offline, limits }: HostSetup) {
  const engine = await openTold(options, { note: (text) => say({ kind: "note", text }) });
  const served = new Map<string, ServedModel>();
  for (const [name, spec] of models) {
    await using files = await openModelFiles(spec, offline, progress);
    const tokenizer = await openModelTokenizer(files);
    served.set(name, { model: await openModel(engine, files.checkpoint), tokenizer });
  }
  const host = new ModelHost(served, limits, (message) => say({ kind: "host", message }));
  return { host, engine: `${engine.info.name}, ${engine.info.description}` };
}

self.onmessage = async ({ data: setup }: MessageEvent<HostSetup>) => {
  try {
    const { host, engine } = await openHost(setup);
    self.onmessage = ({ data }: MessageEvent<ToHost>) => host.receive(data);
    say({ kind: "ready", engine });
  } catch (error) {
    say({ kind: "failed", told: toldOf(error, setup.verbose) });
  }
};
