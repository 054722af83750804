/**
 * The runtime and the model libraries belong together: a library built for another runtime fails with a WebAssembly LinkError. Both
 * are named here and nowhere else. Source: `modelVersion` and `modelLibURLPrefix` in the package @mlc-ai/web-llm of that version.
 */
export const webLlm = {
  npmPackage: "@mlc-ai/web-llm",
  npmVersion: "0.2.86",
  /** Folder of the libraries built for it. */
  libraryFolder: "v0_2_86/base",
  libraryPrefix: "https://raw.githubusercontent.com/mlc-ai/binary-mlc-llm-libs/main/web-llm-models/",
} as const;

/** Address of the prebuilt library of a model and quantisation; from this version on their names end in the chunk size of 1024. */
export function libraryUrl(model: string, quant: string): string {
  return `${webLlm.libraryPrefix}${webLlm.libraryFolder}/${model}-${quant}_cs1k-webgpu.wasm`;
}
