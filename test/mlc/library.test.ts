import { describe, expect, test } from "bun:test";
import { libraryDifferences, readLibrary } from "@safedelta/mlc";
import { libraryBytes } from "./library.ts";

const params = [
  { name: "model.embed_tokens.q_weight", shape: ["vocab_size", 4], dtype: "uint32", preprocs: [] },
  { name: "model.norm.weight", shape: [24], dtype: "float32" },
];
const metadata = {
  model_type: "llama",
  quantization: "q4f32_1",
  note: 'a brace } and a quote " in a text',
  prefill_chunk_size: 512,
  params,
  kv_cache: { num_hidden_layers: 2, head_dim: 8 },
};
const record = (name: string, shape: number[], dtype: "float32" | "uint32") => {
  return { name, shape, dtype, format: "raw" as const, nbytes: 0 };
};
const exported = {
  modelType: "llama",
  quantization: "q4f32_1",
  kvCache: { num_hidden_layers: 2, head_dim: 8 },
  records: [record("model.embed_tokens.q_weight", [202, 4], "uint32"), record("model.norm.weight", [24], "float32")],
};

describe("readLibrary", () => {
  test("finds the text in the data of a wasm, braces in strings and all", async () => {
    const bytes = libraryBytes(metadata);
    expect(WebAssembly.validate(bytes)).toBe(true);
    expect(readLibrary(bytes, "x.wasm")).toEqual({
      modelType: "llama",
      quantization: "q4f32_1",
      prefillChunkSize: 512,
      params,
      kvCache: metadata.kv_cache,
    });
  });

  test("refuses what is no library", () => {
    const refused: [Uint8Array, string][] = [
      [new TextEncoder().encode("\0asx{}"), "x.wasm is no WebAssembly"],
      [new Uint8Array(), "x.wasm is no WebAssembly"],
      [libraryBytes({ other: 1 }), "x.wasm holds no model metadata"],
      [libraryBytes(metadata).slice(0, 90), "x.wasm holds no model metadata"],
      [libraryBytes({ model_type: "llama", quantization: "q0f32" }), "params is no list"],
      [libraryBytes({ model_type: 1, quantization: "q0f32" }), "no model_type"],
    ];
    for (const [bytes, message] of refused) expect(() => readLibrary(bytes, "x.wasm")).toThrow(message);
  });
});

describe("libraryDifferences", () => {
  const library = readLibrary(libraryBytes(metadata), "x.wasm");

  test("none for what fits; a size written as a word stands for any", () => {
    expect(libraryDifferences(library, exported)).toEqual([]);
  });

  test("tells every one", () => {
    const other = {
      ...exported,
      quantization: "q0f32",
      kvCache: { num_hidden_layers: 3, head_dim: 8 },
      records: [record("model.embed_tokens.q_weight", [202, 5], "float32"), record("lm_head.weight", [1], "float32")],
    };
    expect(libraryDifferences(library, other)).toEqual([
      "quantization: the library has q4f32_1, the export q0f32.",
      "num_hidden_layers: the library has 2, the export 3.",
      "model.embed_tokens.q_weight, shape: the library has [vocab_size,4], the export [202,5].",
      "model.embed_tokens.q_weight, dtype: the library has uint32, the export float32.",
      "model.norm.weight: the library asks for it, the export has none.",
      "lm_head.weight: the export has it, the library does not ask for it.",
    ]);
  });
});
