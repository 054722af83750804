import { serveApi } from "@safedelta/serving";
import { defineCommand } from "../command.ts";
import { UsageError } from "../exitCode.ts";
import { computeOptions, option } from "../options.ts";
import { checkToken, listen, namedModels, untilEnded } from "../serve/listening.ts";
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
    port: option.port(8080),
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
    if (models.size === 0) throw new UsageError("MODEL is missing. Run the command with --help for its usage.");
    const { host: hostname = "127.0.0.1", token, maxSeconds, maxQueue, maxTogether, offline } = options;
    const engine = { engine: options.engine, threads: options.threads };
    checkToken(hostname, token);
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
    await untilEnded(server, running.broken, io);
    return undefined;
  },
});
