export { type ChatOptions, defaultDate, type Message } from "./chatTemplate.ts";
export { TokenizerError } from "./errors.ts";
export { readTokenizerFiles, type TokenizerFiles } from "./files.ts";
export { openTokenizer, type Tokenizer } from "./tokenizer.ts";
