import { join } from "node:path";
import { wasmBinary } from "@safedelta/engine";
import { heatStyle } from "@safedelta/report/web";

const source = join(import.meta.dir, "..");

/** A file of the page. */
export interface PageFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
}

/** The page's files by path. */
export type PageFiles = ReadonlyMap<string, PageFile>;

const types: Readonly<Record<string, string>> = {
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  wasm: "application/wasm",
  svg: "image/svg+xml",
};

/**
 * Bundle the page and its workers, in memory. What only some pages want (web-llm) is a file of its own, loaded by `import()`.
 * @throws AggregateError with the bundler's messages
 */
export async function buildPage(): Promise<PageFiles> {
  const { outputs } = await Bun.build({
    entrypoints: ["page/main.tsx", "page/main.css", "worker/worker.ts", "worker/webLlmWorker.ts"].map((path) =>
      join(source, path),
    ),
    target: "browser",
    splitting: true,
    minify: true,
    naming: { entry: "[name].[ext]", chunk: "[name]-[hash].[ext]", asset: "[name].[ext]" },
  });
  const files = new Map<string, PageFile>();
  for (const output of outputs) files.set(output.path.replace(/^\.?/, ""), await pageFile(output.path, output));
  files.set("/heat.css", await pageFile("heat.css", new Blob([heatStyle])));
  files.set("/", await pageFile("index.html", Bun.file(join(source, "page/index.html"))));
  files.set("/icon.svg", await pageFile("icon.svg", Bun.file(join(source, "page/icon.svg"))));
  files.set("/kernels.wasm", await pageFile("kernels.wasm", Bun.file(wasmBinary)));
  return files;
}

async function pageFile(name: string, file: Blob): Promise<PageFile> {
  const type = types[name.split(".").at(-1) ?? ""] ?? "application/octet-stream";
  return { bytes: new Uint8Array(await file.arrayBuffer()), type };
}
