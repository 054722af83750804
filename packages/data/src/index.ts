export { applySystemPrompt, rotateSystemPrompts } from "./applySystemPrompt.ts";
export { epochOrders } from "./epochs.ts";
export { DataError } from "./errors.ts";
export { type Example, hashExamples, type Message } from "./example.ts";
export { type LoadOptions, loadExamples } from "./load.ts";
export { type Overlap, overlap } from "./overlap.ts";
export type { Format } from "./rows.ts";
export { sampleExamples } from "./sample.ts";
export { type PromptTemplate, systemPromptRotations, systemPrompts } from "./systemPrompts.ts";
