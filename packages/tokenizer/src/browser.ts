/** What a page can use of this package: tokenizers from the bytes of their files. */
export { type ChatOptions, defaultDate, type Message } from "./chatTemplate.ts";
export { TokenizerError } from "./errors.ts";
export { collectTokenizerFiles, type TokenizerFiles } from "./files.ts";
export { openTokenizer, type Tokenizer } from "./tokenizer.ts";
