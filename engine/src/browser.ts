/** What a page can use of this package: nothing here touches files, processes or native libraries. */
export * from "./engine.ts";
export { openWasmFrom } from "./wasm/open.ts";
