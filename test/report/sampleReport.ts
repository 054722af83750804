import { type LinearReport, type RepairReport, totalsOf } from "@safedelta/report";

/** One linear with round numbers, and whatever differs. */
export function linear(changes: Partial<LinearReport> = {}): LinearReport {
  return {
    name: "model.layers.0.self_attn.q_proj.weight",
    rows: 4,
    cols: 8,
    keptShare: 0,
    safetyLoss: 0.03,
    safetyLossShare: 0.03,
    fullSafetyLoss: 1,
    utilityGap: 16,
    deltaNorm: 3,
    tunedDeltaNorm: 5,
    strength: 2.5,
    budget: 0.03,
    ...changes,
  };
}

/** A report of `nLayers` layers with two linears each. */
export function sampleReport(nLayers: number, changes: Partial<RepairReport> = {}): RepairReport {
  const layers = Array.from({ length: nLayers }, (_, layer) => ({
    layer,
    linears: [linear(), linear({ deltaNorm: 4, tunedDeltaNorm: 12, fullSafetyLoss: 2 })],
  }));
  return {
    toolVersion: "0.1.0",
    command: "bun run safedelta apply --aligned org/chat --tuned ./tuned --mode optimal --loss 0.03",
    recipe: { aligned: "org/chat", tuned: "./tuned", mode: "optimal", loss: 0.03 },
    outFormat: "model",
    mode: "optimal",
    budget: { kind: "loss", value: 0.03 },
    aligned: { spec: "org/chat", name: "org/chat", hash: "a1" },
    tuned: { spec: "./tuned", name: "tuned", hash: "b2" },
    state: { hash: "c3" },
    safeData: { source: "safe.jsonl", hash: "d4", nExamples: 512, nTokens: 26_600, seed: 0 },
    engine: { name: "wasm", version: "0.1.0", description: "SIMD" },
    rest: "aligned",
    dtype: "BF16",
    layers,
    totals: totalsOf(layers.flatMap(({ linears }) => linears)),
    tensors: { "lm_head.weight": "e5" },
    files: { "config.json": "f6" },
    licence: "apache-2.0",
    ...changes,
  };
}
