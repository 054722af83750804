/** SHA-256 of a tensor's bytes, in hex. */
export function hashTensorBytes(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}
