export { applySystemPrompt, rotateSystemPrompts } from "./applySystemPrompt.ts";
export type { Dataset, Part, Split } from "./dataset.ts";
export { datasets } from "./datasets.ts";
export { epochOrders } from "./epochs.ts";
export { DataError } from "./errors.ts";
export { type Example, hashExamples, type Message } from "./example.ts";
export { type LoadOptions, loadExamples, type Mapping } from "./load.ts";
export {
  checkSource,
  isHarmful,
  loadSource,
  localFiles,
  parseSource,
  type SourceAccess,
  type SourceOptions,
} from "./loadSource.ts";
export { type Draw, mixExamples, parseDraw, type Share, toJsonLines } from "./mix.ts";
export { type Overlap, overlap } from "./overlap.ts";
export { PythonRandom } from "./random.ts";
export type { Reading } from "./reading.ts";
export type { Format } from "./rows.ts";
export { sampleExamples } from "./sample.ts";
export { type HubPath, parseSpelling, type Spelled, spellings } from "./spelling.ts";
export { suggest } from "./suggest.ts";
export { type PromptTemplate, systemPromptRotations, systemPrompts } from "./systemPrompts.ts";
