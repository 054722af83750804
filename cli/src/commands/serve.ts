import { basename, resolve } from "node:path";
import { isLoopback, serveApi } from "@safedelta/serving";
import { defineCommand } from "../command.ts";
import { onEnding } from "../ending.ts";
import { UsageError } from "../exitCode.ts";
import { computeOptions, option } from "../options.ts";
import { startHost } from "../serve/startHost.ts";

/** Longest body of a request. */
const mostBodyBytes = 4e6;

/** `safedelta serve MODEL…` */
export const serveCommand = defineCommand({
  brief: "Serve models over HTTP in the form of OpenAI's API",
  help:
    "/v1/models, /v1/chat/completions and /v1/completions, streamed too. A MODEL is called by the last part of its spelling, or as --name says. " +
    "Only this machine can connect unless --host names another address, which needs --token. Ctrl-C ends it.",
  args: ["MODEL…"],
  options: {
    name: option.words({ brief: "models under names of their own", placeholder: "NAME=MODEL,…" }),
    host: option.text({ brief: "address to listen on [127.0.0.1]", placeholder: "address" }),
    port: option.count(8080, { brief: "port to listen on; 0 takes any that is free" }),
    token: option.text({ brief: "what clients must bring as API key", placeholder: "text" }),
    maxTogether: option.positive(16, { brief: "answers of one model that are written together" }),
    maxQueue: option.positive(64, { brief: "answers that may wait or be under way; more are refused with 429" }),
    maxNewTokens: option.positive(256, { brief: "most tokens of an answer whose length is not asked for" }),
    maxSeconds: option.positive(600, { brief: "longest time of a request" }),
    cache: option.size({ brief: "memory for keys and values, for each model [1GiB]" }),
    engine: computeOptions.engine,
    threads: computeOptions.threads,
    offline: computeOptions.offline,
  },
  async run(options, specs, io) {
    const models = namedModels(specs, options.name);
    const { host: hostname = "127.0.0.1", token, maxSeconds, maxQueue, maxTogether, offline } = options;
    const engine = { engine: options.engine, threads: options.threads };
    if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
      throw new UsageError(
        "--token must be of printable ASCII without blanks, and not empty: clients send it in a header.",
      );
    if (!isLoopback(hostname) && token === undefined)
      throw new UsageError(`--host ${hostname} lets other machines connect: add a --token that they must bring.`);
    const limits = {
      nTogether: maxTogether,
      cacheBytes: options.cache ?? 2 ** 30,
      nDefaultTokens: options.maxNewTokens,
    };
    using running = await startHost({ models, engine, offline, limits, verbose: io.verbose }, maxQueue, io);
    const names = [...models.keys()];
    const server = listen(() =>
      serveApi(running.client, {
        ...{ host: hostname, port: options.port, token, models: names },
        ...{ mostBodyBytes, mostSeconds: maxSeconds, idleSeconds: 30, quietSeconds: 2 },
      }),
    );
    io.document({ url: `${server.url}/v1`, models: names });
    io.print(`serving ${names.join(", ")} at ${server.url}/v1`);
    const ended = Promise.withResolvers<void>();
    onEnding(ended.resolve);
    const error = await Promise.race([ended.promise, running.broken]);
    await server.stop();
    if (error) throw error;
    io.note("stopped");
    return undefined;
  },
});

/** @throws UsageError for a name that two models have, or none at all */
function namedModels(specs: readonly string[], names: string | undefined): Map<string, string> {
  const pairs = [...specs.map((spec) => [shortName(spec), spec]), ...(names?.split(",") ?? []).map(namedPair)];
  if (pairs.length === 0) throw new UsageError("MODEL is missing. Run the command with --help for its usage.");
  const models = new Map<string, string>();
  for (const [name, spec] of pairs) {
    if (models.has(name))
      throw new UsageError(`Two models are called ${name}; give one another name with --name NAME=MODEL.`);
    models.set(name, spec);
  }
  return models;
}

function namedPair(text: string): [name: string, spec: string] {
  const at = text.indexOf("=");
  if (at < 1 || at === text.length - 1) throw new UsageError(`--name: "${text}" is not NAME=MODEL.`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** The last part of a spelling, without the ending of a file. */
function shortName(spec: string): string {
  return basename(resolve(spec)).replace(/\.gguf$/, "");
}

/** @throws UsageError when the port or the address cannot be had */
function listen<T>(start: () => T): T {
  try {
    return start();
  } catch (error) {
    throw new UsageError(`--host, --port: ${(error as Error).message}`);
  }
}
