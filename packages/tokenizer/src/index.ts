export { type ChatOptions, defaultDate, type Message } from "./chatTemplate.ts";
export { TokenizerError } from "./errors.ts";
export { collectTokenizerFiles, readTokenizerFiles, type TokenizerFiles } from "./files.ts";
export { openTokenizer, type Tokenizer } from "./tokenizer.ts";
