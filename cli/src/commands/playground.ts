import { buildPage, servePlayground } from "@safedelta/playground";
import { defineCommand } from "../command.ts";
import { computeOptions, option, safeDataOptions } from "../options.ts";
import { demoShow, openShow } from "../playground/show.ts";
import { checkToken, listen, namedModels, untilEnded } from "../serve/listening.ts";
import { startHost } from "../serve/startHost.ts";

/** `safedelta playground [MODEL…]` */
export const playgroundCommand = defineCommand({
  brief: "A page to chat with models side by side and repair one live",
  help:
    "Without any MODEL it shows the demo's. --aligned, --tuned and --safe-data are repaired in the page as its dial moves; each further MODEL " +
    "answers beside them, a folder of `export mlc` by WebGPU; the folder of a `sweep --out` becomes a dial. --watch tells how far the work in an output folder is. " +
    "Only this machine can connect unless --host names another address, which needs --token. Ctrl-C ends it.",
  args: ["MODEL…"],
  options: {
    aligned: option.text({ brief: "model before fine-tuning", placeholder: "model" }),
    tuned: option.text({ brief: "model after fine-tuning", placeholder: "model" }),
    ...safeDataOptions,
    name: option.words({ brief: "further models under names of their own", placeholder: "NAME=MODEL,…" }),
    watch: option.words({ brief: "output folders whose work is watched", placeholder: "FOLDER,…" }),
    maxNewTokens: option.positive(256, { brief: "most tokens of an answer, within the model's positions" }),
    host: option.text({ brief: "address to listen on [127.0.0.1]", placeholder: "address" }),
    port: option.port(8090),
    token: option.text({ brief: "what who opens the page must bring", placeholder: "text" }),
    engine: computeOptions.engine,
    threads: computeOptions.threads,
    offline: computeOptions.offline,
  },
  async run(options, specs, io) {
    const { host = "127.0.0.1", port, token, offline, maxNewTokens } = options;
    checkToken(host, token);
    const asked = { ...options, others: namedModels(specs, options.name) };
    const isDemo = !options.aligned && !options.tuned && !options.safeData && asked.others.size === 0;
    await using show = await openShow(isDemo ? { ...asked, ...demoShow } : asked, io.progress);
    const page = await buildPage();
    const limits = { nTogether: 4, cacheBytes: 2 ** 28, nDefaultTokens: maxNewTokens };
    const engine = { engine: options.engine, threads: options.threads };
    using running = await startHost({ models: show.specs, engine, offline, limits, verbose: io.verbose }, 64, io);
    const sources = { ...show.sources, client: running.client, hostEngine: running.engine };
    const server = listen(() =>
      servePlayground(page, sources, {
        ...{ host, port, token, mostBodyBytes: 1e6, mostSeconds: 600, idleSeconds: 30, watchSeconds: 1 },
      }),
    );
    const url = token === undefined ? server.url : `${server.url}/?token=${encodeURIComponent(token)}`;
    io.document({ url, models: show.sources.models.map(({ name }) => name) });
    io.print(`open ${url}`);
    await untilEnded(server, running.broken, io);
    return undefined;
  },
});
