/** A tokenizer or chat template that cannot be used, or text it cannot handle: says which file, what is wrong, what to do. */
export class TokenizerError extends Error {
  override readonly name = "TokenizerError";
}
