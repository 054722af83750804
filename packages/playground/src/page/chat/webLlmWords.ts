/** What may go wrong with web-llm, by what its errors say, and what to do about it. */
const known: readonly (readonly [pattern: RegExp, words: string])[] = [
  [
    /no WebGPU in this browser/,
    "This browser has no WebGPU. Use a current Chrome or Edge (Linux: chrome://flags/#enable-unsafe-webgpu), or a model in its ordinary form, which runs on the processor.",
  ],
  [
    /no WebGPU adapter|Unable to find a compatible GPU/i,
    "WebGPU found no graphics card to work on. Update the graphics driver, or show the model in its ordinary form, which runs on the processor.",
  ],
  [
    /LinkError|import object|function import requires/i,
    "The model library is for another version of web-llm than this page has. Export the model again with the library that docs/playground.md names.",
  ],
  [
    /shader-f16/i,
    "This graphics card has no 16-bit floats (shader-f16). Export the model again as q0f32 or q4f32_1, which need none.",
  ],
  [
    /no library:/,
    "The folder holds no model library. Export the model again with --lib LIBRARY.wasm (docs/playground.md says where they are).",
  ],
  [
    /out of memory|device (was|is) lost|GPUBuffer|exceeds the max buffer/i,
    "The graphics card has not enough memory for this model. Close other pages that use it, or export the model quantised (q4f32_1).",
  ],
  [
    /failed to fetch|NetworkError|Cannot fetch|Cache\.add/i,
    "A file of the model could not be fetched. Is the server still running? Then reload the page.",
  ],
];

/** An error of web-llm in words for the user, its own words behind them. */
export function webLlmWords(error: unknown): string {
  const own = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const words = known.find(([pattern]) => pattern.test(own))?.[1] ?? "web-llm could not answer.";
  return `${words} (${own})`;
}
