/** Load the committed WASM build in whatever runtime this is, multiply two matrices and print the hash of the product. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as kernels from "../../engine/wasm/kernels.js";

const n = 67;
const bytes = n * n * 4;
const { memory } = kernels.initSync({
  module: readFileSync(new URL("../../engine/wasm/kernels_bg.wasm", import.meta.url)),
});
const [a, b, c] = [0, 1, 2].map(() => kernels.alloc(bytes));

function fill(at, step) {
  const m = new Float32Array(memory.buffer, at, n * n);
  for (let i = 0; i < m.length; i++) m[i] = ((i * step) % 101) / 7;
}

fill(a, 37);
fill(b, 59);
kernels.gemm(1 / 3, a, n, n, n, false, b, n, n, n, true, 0, c, n, n, n);
console.log(
  createHash("sha256")
    .update(new Uint8Array(memory.buffer, c, bytes))
    .digest("hex"),
);
