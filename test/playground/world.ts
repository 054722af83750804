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
  for (const name of ["aligned", "tuned"] as const) {
    const files = owned.use(await openModelFiles(join(tinyFolder, name), true, silent));
    const model = owned.use(await openModel(engine, files.checkpoint));
    served.set(name, { model, tokenizer: await openModelTokenizer(files) });
    const { checkpoint, config } = files;
    models.push({ name, role: name, kind: "tensors", f32Bytes: 1.6e6, maxPositions: config.maxPositions, checkpoint });
    if (name === "aligned") ids = (await readSequences(safe, files, true, silent)).ids;
  }
  const limits = { nTogether: 4, cacheBytes: 1e8, nDefaultTokens: 16 };
  const host = owned.use(new ModelHost(served, limits, (message) => client.receive(structuredClone(message))));
  const client: HostClient = new HostClient((message) => host.receive(structuredClone(message)), 32);
  const shown: Sources = {
    ...{ models: [...models, ...more], safe: ids, prompts: [], maxNewTokens: 16, client, hostEngine: "wasm, here" },
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
