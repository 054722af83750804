import { join } from "node:path";
import { openEngine } from "@safedelta/engine";
import { openModel } from "@safedelta/model";
import { openModelFiles, openModelTokenizer, readSequences, silent } from "@safedelta/pipeline";
import {
  buildPage,
  type PlaygroundServer,
  type ServeOptions,
  type ShownModel,
  type Sources,
  type StoredSweep,
  servePlayground,
} from "@safedelta/playground";
import { HostClient, ModelHost, type ServedModel } from "@safedelta/serving";
import { tinyFolder } from "../support/pico.ts";

/** A playground of the tiny pair in this process. */
export interface World extends AsyncDisposable {
  readonly url: string;
  readonly server: PlaygroundServer;
}

const page = buildPage();

const safe = {
  file: join(tinyFolder, "safe.jsonl"),
  samples: 128,
  seed: 42,
  maxTokens: 64,
  systemPrompts: "none",
} as const;

/** Models that are opened: the pair, and with `sweeps` both again, as the ends of a stored sweep. */
const folders = { aligned: "aligned", tuned: "tuned", "sweep/weak": "tuned", "sweep/strong": "aligned" } as const;

/** A stored sweep whose stops are the tuned and the aligned model. */
export const storedSweep: StoredSweep = {
  name: "sweep: optimal",
  stops: [
    { model: "sweep/weak", setting: "optimal --loss 0.9", safetyLossShare: 0.9, changeKept: 0.95 },
    { model: "sweep/strong", setting: "optimal --loss 0.1", safetyLossShare: 0.1, changeKept: 0.6 },
  ],
};

/** Serve the tiny pair, host and server in one thread. @param more models and whatever else is shown beside the pair */
export async function openWorld(
  options: Partial<ServeOptions> = {},
  { models: more = [], ...sources }: Partial<Sources> = {},
): Promise<World> {
  await using owned = new AsyncDisposableStack();
  const { engine } = await openEngine("wasm");
  owned.use(engine);
  const served = new Map<string, ServedModel>();
  const models: ShownModel[] = [];
  let ids: Sources["safe"];
  for (const [name, folder] of Object.entries(folders)) {
    const role = name === folder ? folder : "swept";
    if (role === "swept" && !sources.sweeps) continue;
    const files = owned.use(await openModelFiles(join(tinyFolder, folder), true, silent));
    const model = owned.use(await openModel(engine, files.checkpoint));
    served.set(name, { model, tokenizer: await openModelTokenizer(files) });
    const { checkpoint, config } = files;
    models.push({ name, role, kind: "tensors", f32Bytes: 1.6e6, maxPositions: config.maxPositions, checkpoint });
    if (name === "aligned") ids = (await readSequences(safe, files, true, silent)).ids;
  }
  const limits = { nTogether: 4, cacheBytes: 1e8, nDefaultTokens: 16 };
  const host = owned.use(new ModelHost(served, limits, (message) => client.receive(structuredClone(message))));
  const client: HostClient = new HostClient((message) => host.receive(structuredClone(message)), 32);
  const shown: Sources = {
    ...{
      models: [...models, ...more],
      safe: ids,
      sweeps: [],
      prompts: [],
      maxNewTokens: 16,
      client,
      hostEngine: "wasm, here",
    },
    ...sources,
  };
  const server = servePlayground(await page, shown, {
    ...{ host: "127.0.0.1", port: 0, mostBodyBytes: 1e4, mostSeconds: 60, idleSeconds: 30, watchSeconds: 0.02 },
    ...options,
  });
  owned.defer(() => server.stop());
  const held = owned.move();
  return { url: server.url, server, [Symbol.asyncDispose]: () => held.disposeAsync() };
}
