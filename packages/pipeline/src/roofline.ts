import { type TensorInfo, tensorBytes } from "@safedelta/checkpoint";
import type { EngineInfo } from "@safedelta/engine";
import { groupsOfLayer, type LayerGroup, type ModelConfig } from "@safedelta/model";
import { factorFlop, repairFlop, rowsOf } from "./estimate.ts";
import { hessianGroups, type Parts, type StatePart } from "./parts.ts";
import { groupBytes } from "./state.ts";

/** What a device is assumed to reach, in operations or bytes a second: data-sheet peaks times usual efficiencies (docs/engine.md). */
export interface Device {
  readonly name: string;
  /** The engine that would run there. */
  readonly engine: EngineInfo["name"];
  /** Where its figures come from, in words. */
  readonly basis: string;
  /** f32 products of large matrices: the forward pass and the repairs. */
  readonly productFlops: number;
  /** Hessian accumulation, counted as the upper triangle of AᵀA. */
  readonly hessianFlops: number;
  /** Cholesky and triangular inverse. */
  readonly factorFlops: number;
  /** Eigendecomposition: bytes that pass through memory (a GPU's bound), or f64 operations (a CPU's). */
  readonly eigen: { readonly bytesPerSecond: number } | { readonly flops: number };
  /** Host to device, and the disk. */
  readonly linkBytesPerSecond: number;
  readonly readBytesPerSecond: number;
  readonly writeBytesPerSecond: number;
}

const disk = { readBytesPerSecond: 7e9, writeBytesPerSecond: 5.5e9 };

/** A GPU from its data sheet: f32 and bf16 peaks (dense), memory, link. */
function gpu(name: string, f32: number, bf16: number, memory: number, link: number): Device {
  return {
    name,
    engine: "cuda",
    basis: "from its data sheet",
    productFlops: 0.9 * f32,
    hessianFlops: (0.8 * bf16) / 6, // six products of bf16 terms for one of f32
    factorFlops: 0.55 * f32,
    eigen: { bytesPerSecond: 0.8 * memory },
    linkBytesPerSecond: link,
    ...disk,
  };
}

/** A CPU of `cores` cores at `perCore` f32 operations a second in large products. */
function cpu(name: string, engine: Device["engine"], cores: number, perCore: number): Device {
  const rate = cores * perCore;
  return {
    name,
    engine,
    basis: "by what was measured on other machines of its kind",
    productFlops: rate,
    hessianFlops: 0.9 * rate,
    factorFlops: 0.6 * rate,
    eigen: { flops: 0.2 * rate },
    linkBytesPerSecond: Number.POSITIVE_INFINITY,
    readBytesPerSecond: 2e9,
    writeBytesPerSecond: 1e9,
  };
}

export const deviceNames = ["a100-80g", "h100", "cpu", "wasm"] as const;

/** Devices by name; `cpu` is this machine's with the native engine. */
export function devicesHere(processors: number): readonly Device[] {
  return [
    gpu("a100-80g", 19.5e12, 312e12, 2.04e12, 25e9),
    gpu("h100", 67e12, 989e12, 3.35e12, 50e9),
    cpu("cpu", "native", processors, 50e9),
    cpu("wasm", "wasm", 1, 30e9),
  ];
}

/** f32 operations a second of the reference engine: plain TypeScript, measured on one machine. */
const referenceRate = 0.25e9;

/** What is assumed of an open engine for a time guess before the work: of CUDA one device, an A100 unless it is called an H100. */
export function assumedDevice({ name, threads, description }: EngineInfo): Device {
  if (name === "reference") return cpu("reference", "reference", 1, referenceRate);
  const wanted = { native: "cpu", wasm: "wasm", cuda: /H100/.test(description) ? "h100" : "a100-80g" }[name];
  return devicesHere(threads).find((device) => device.name === wanted) as Device;
}

/** One stage of a job: what it computes or moves, and what bounds it. */
export interface Stage {
  readonly job: "prepare" | "apply";
  readonly stage: string;
  readonly flop: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** What passes through memory for one n x n eigendecomposition: n/3 rank-two updates and n/3 products, then n sweeps of rotations. */
const eigenBytes = (n: number) => 22 * n ** 3;

/**
 * Every stage's work and its least time on a device. Reading, computing and writing overlap where the engine lets them, so a job
 * takes between its longest stage and the sum of them.
 * @param tensors of the aligned model; the tuned one is taken to be as large
 * @param nDevices share the forward pass, Hessians and repairs, as docs/engine.md says; the link, the disk and the factors are of one
 */
export function roofline(
  device: Device,
  config: ModelConfig,
  tensors: ReadonlyMap<string, TensorInfo>,
  nTokens: number,
  parts: Parts,
  nDevices = 1,
): Stage[] {
  const groups = groupsOfLayer(config, 0);
  const total = (of: (group: LayerGroup) => number) =>
    config.nLayers * groups.reduce((sum, group) => sum + of(group), 0);
  const modelBytes = [...tensors.values()].reduce((sum, info) => sum + tensorBytes(info), 0);
  const stateBytes = total((g) => groupBytes(g.cols, parts[g.name]));
  const usedBytes = total((g) => groupBytes(g.cols, [parts[g.name].find(isOptimal) ?? parts[g.name][0]]));
  const hessians = hessianGroups(parts);
  const repairOf = (g: LayerGroup) => repairFlop(g, hessians.includes(g.name));
  const [products, solved] = [total((g) => repairOf(g).products), total((g) => repairOf(g).factors)];
  const computed = (job: Stage["job"], stage: string, flop: number, rate: number): Stage => {
    return { job, stage, flop, bytes: 0, seconds: flop / rate };
  };
  const shared = (job: Stage["job"], stage: string, flop: number, rate: number) =>
    computed(job, stage, flop, nDevices * rate);
  const moved = (job: Stage["job"], stage: string, bytes: number, rate: number): Stage => {
    return { job, stage, flop: 0, bytes, seconds: bytes / rate };
  };
  const readRate = Math.min(device.readBytesPerSecond, device.linkBytesPerSecond);
  const writeRate = Math.min(device.writeBytesPerSecond, device.linkBytesPerSecond);
  return [
    moved("prepare", "read the model", modelBytes, readRate),
    shared("prepare", "forward pass", nTokens * total((g) => 2 * g.cols * rowsOf(g)), device.productFlops),
    shared("prepare", "Hessians", nTokens * total((g) => g.cols ** 2), device.hessianFlops),
    ...stateParts.flatMap((part) => factorStage(device, part, parts, total)),
    moved("prepare", "write the state", stateBytes, writeRate),
    moved("apply", "read both models and the state", 2 * modelBytes + usedBytes, readRate),
    shared("apply", "repair", products, device.productFlops),
    ...(solved > 0 ? [shared("apply", "Cholesky for each λ", solved, device.factorFlops)] : []),
    moved("apply", "write the repaired model", modelBytes, writeRate),
  ];
}

const stateParts: readonly StatePart[] = ["inverse", "ordered", "spectrum", "hessian"];
const isOptimal = (part: StatePart) => part === "spectrum" || part === "hessian";

function factorStage(
  device: Device,
  part: StatePart,
  parts: Parts,
  total: (of: (group: LayerGroup) => number) => number,
): Stage[] {
  const served = { inverse: "reference", ordered: "exact", spectrum: "optimal", hessian: "optimal by Cholesky" }[part];
  const sum = (of: (cols: number) => number) => total((g) => (parts[g.name].includes(part) ? of(g.cols) : 0));
  const flop = sum(factorFlop[part]);
  if (flop === 0) return [];
  const bytes = part === "spectrum" ? sum(eigenBytes) : 0;
  const { eigen, factorFlops } = device;
  const eigenSeconds = "flops" in eigen ? flop / eigen.flops : bytes / eigen.bytesPerSecond;
  const seconds = part === "spectrum" ? eigenSeconds : flop / factorFlops;
  return [{ job: "prepare", stage: `factors for ${served}`, flop, bytes, seconds }];
}
