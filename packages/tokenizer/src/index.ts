export { type ChatOptions, defaultDate, type Message } from "./chatTemplate.ts";
export { TokenizerError } from "./errors.ts";
export { collectTokenizerFiles, type TokenizerFiles } from "./files.ts";
export { fingerprint } from "./fingerprint.ts";
export { readTokenizerFiles } from "./readFiles.ts";
export { openTokenizer, type Tokenizer, type TokenizerPart } from "./tokenizer.ts";
