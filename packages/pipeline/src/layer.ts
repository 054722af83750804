import { mkdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import {
  openSafetensors,
  type Tensor,
  type TensorDType,
  type TensorFile,
  type TensorInfo,
  writeSafetensors,
} from "@safedelta/checkpoint";
import {
  accumulate,
  type Budget,
  checkBudget,
  dampedHessian,
  finishHessian,
  inverseFactor,
  keptAsWritten,
  type Mode,
  numbersAsWritten,
  orderedFactor,
  owning,
  type PreparedGroup,
  type RepairNumbers,
  repair,
  spectrum,
  type Weights,
} from "@safedelta/core";
import type { Engine, Matrix } from "@safedelta/engine";
import { at, PipelineError } from "./errors.ts";
import { guardFile } from "./files.ts";
import { requireFreeFile } from "./freeFile.ts";
import { requireMemory, runtimeBytes } from "./memory.ts";
import { optimalPart, partFor, type StatePart } from "./parts.ts";
import { jsonSafe } from "./repairLinear.ts";
import { downloadAs, requireExactType, requireWritableType, uploadF32 } from "./upload.ts";

/** The method on one linear, from file to file. */
export interface LayerOptions {
  /** safetensors with `aligned`, `tuned` and either `hessian` (before dead columns and damping) or `x0`, `x1`, … */
  readonly input: string;
  /** safetensors to write: `weight` and `kept` (U8, rows x cols). */
  readonly out: string;
  readonly mode: Mode;
  readonly budget: Budget;
  /** Storage type of `weight`; the aligned one's unless given. */
  readonly dtype?: TensorDType;
  /** Replace a file that stands at `out`. */
  readonly overwrite: boolean;
  readonly maxMemoryBytes?: number;
}

/** Numbers of the repair of one linear; an infinite strength (the aligned weights) is left out, since JSON has none. */
export interface LayerFacts extends RepairNumbers {
  readonly mode: Mode;
  readonly rows: number;
  readonly cols: number;
}

/**
 * Repair one linear of a file.
 * @throws CheckpointError; PipelineError `usage` for budgets and for an `out` that may not be written, `resources` when memory is short,
 * `incompatible` when a tensor is missing or of a type that cannot be used, shapes do not fit, or the Hessian is not positive definite
 */
export async function repairLayerFile(engine: Engine, options: LayerOptions): Promise<LayerFacts> {
  at(`--mode ${options.mode}`, () => checkBudget(options.mode, options.budget));
  await requireFreeFile({ ...options, inputs: [options.input], ending: ".safetensors" });
  const file = await openSafetensors(options.input);
  try {
    requireMemory(options.maxMemoryBytes, memoryOf(file), "layer");
    const dtype = outputType(file, options);
    requireKnownNames(file);
    using weights = await readWeights(engine, file);
    using prepared = await prepareFrom(engine, file, options.mode, weights.aligned.cols);
    return await writeRepair(engine, file.path, options, dtype, weights, prepared);
  } finally {
    await file.close();
  }
}

/** Storage type of `weight`, checked before the work. @throws PipelineError `incompatible`, also for weights that f32 would round */
function outputType(file: TensorFile, { dtype }: LayerOptions): TensorDType {
  const [aligned, tuned] = ["aligned", "tuned"].map((name) => known(file, name));
  for (const info of [aligned, tuned]) requireExactType(info, file.path);
  if (dtype === undefined) requireWritableType(aligned, file.path);
  return dtype ?? aligned.dtype;
}

/** @throws PipelineError `incompatible` when there is nothing to repair */
async function readWeights(engine: Engine, file: TensorFile): Promise<Weights & Disposable> {
  const { shape } = known(file, "aligned");
  if (shape.includes(0)) throw new PipelineError("incompatible", `${file.path}: aligned is empty ([${shape}]).`);
  using made = new DisposableStack();
  const aligned = made.use(uploadF32(engine, await need(file, "aligned"), file.path));
  const tuned = made.use(uploadF32(engine, await need(file, "tuned"), file.path));
  const held = made.move();
  return { aligned, tuned, [Symbol.dispose]: () => held.dispose() };
}

async function prepareFrom(
  engine: Engine,
  file: TensorFile,
  mode: Mode,
  cols: number,
): Promise<PreparedGroup & Disposable> {
  using hessian = await readHessian(engine, file, cols);
  const factor = at(file.path, () => {
    finishHessian(engine, hessian);
    return factorOf(engine, mode, hessian);
  });
  return { cols, [partOfFile(engine, mode, cols)]: factor, [Symbol.dispose]: () => factor[Symbol.dispose]() };
}

async function writeRepair(
  engine: Engine,
  path: string,
  { mode, budget, out }: LayerOptions,
  dtype: TensorDType,
  weights: Weights,
  prepared: PreparedGroup,
): Promise<LayerFacts> {
  const { weight, numbers } = at(path, () => repair(engine, mode, weights, prepared, budget));
  using repaired = weight;
  const { rows, cols } = repaired;
  const stored: Tensor = {
    ...{ name: "weight", dtype, shape: [rows, cols] },
    bytes: downloadAs(engine, repaired, dtype, "weight"),
  };
  using written = uploadF32(engine, stored, out);
  const told = numbersAsWritten(engine, numbers, weights, written, prepared);
  const mask = keptAsWritten(engine, numbers.kept, written, weights.tuned);
  await guardFile(out, () => mkdir(dirname(resolve(out)), { recursive: true }));
  await writeSafetensors(out, [stored, { name: "kept", dtype: "U8", shape: [rows, cols], bytes: mask }]);
  return { mode, rows, cols, ...jsonSafe(told) };
}

/** The matrices of a repair and of its factor, each in f32. */
function memoryOf(file: TensorFile): number {
  const [rows, cols] = file.tensors.get("aligned")?.shape ?? [0, 0];
  return runtimeBytes + 4 * (8 * rows * cols + 6 * cols ** 2);
}

function factorOf(engine: Engine, mode: Mode, damped: Matrix) {
  const make = { inverse: inverseFactor, ordered: orderedFactor, spectrum, hessian: dampedHessian };
  return make[partOfFile(engine, mode, damped.cols)](engine, damped);
}

function partOfFile(engine: Engine, mode: Mode, cols: number): StatePart {
  return partFor(mode, cols, (n) => optimalPart(engine.info.name, n));
}

async function need(file: TensorFile, name: string): Promise<Tensor> {
  return file.read(known(file, name).name);
}

function known({ tensors, path }: TensorFile, name: string): TensorInfo {
  const info = tensors.get(name);
  if (info) return info;
  const found = [...tensors.keys()].join(", ");
  throw new PipelineError("incompatible", `${path}: has no tensor "${name}" (it holds: ${found}).`);
}

/** A tensor that nothing reads may be an example under a misspelt name. @throws PipelineError `incompatible` */
function requireKnownNames({ tensors, path }: TensorFile): void {
  const strange = [...tensors.keys()].find((name) => !/^(aligned|tuned|hessian|x(0|[1-9]\d*))$/.test(name));
  if (strange === undefined) return;
  const known = "aligned, tuned, and hessian or x0, x1, …";
  throw new PipelineError("incompatible", `${path}: holds "${strange}", which is not used. Leave ${known} only.`);
}

/** H before dead columns and damping, from the file's `hessian` or from the activations of its examples. */
async function readHessian(engine: Engine, file: TensorFile, cols: number): Promise<Matrix> {
  const examples = examplesOf(file);
  if (examples.length === 0) {
    const hessian = uploadF32(engine, await need(file, "hessian"), file.path);
    return owning(hessian, () => {
      shaped(hessian, cols, cols, file.path);
      requireSymmetric(engine.read(hessian), cols, file.path);
      return hessian;
    });
  }
  using made = new DisposableStack();
  const hessian = made.use(engine.alloc(cols, cols));
  for (const name of examples) {
    using x = uploadF32(engine, await need(file, name), file.path);
    shaped(x, x.rows, cols, `${file.path}: ${name}`);
    accumulate(engine, hessian, x, examples.length);
  }
  made.move();
  return hessian;
}

/** x0, x1, … in order. @throws PipelineError `incompatible` for a gap, or beside a Hessian */
function examplesOf({ tensors, path }: TensorFile): string[] {
  const found = [...tensors.keys()].filter((name) => /^x\d+$/.test(name));
  const names = found.map((_, i) => `x${i}`);
  const gap = names.find((name) => !tensors.has(name));
  if (gap !== undefined)
    throw new PipelineError("incompatible", `${path}: has ${found.length} examples (x0, x1, …) but no ${gap}.`);
  if (found.length > 0 && tensors.has("hessian"))
    throw new PipelineError("incompatible", `${path}: holds "hessian" and x0 too; only one of them can be meant.`);
  return names;
}

/** Rounding of sums in f32, relative to the diagonal. */
const symmetryTolerance = 1e-3;

/** Only the upper triangle is used: what fills one triangle alone would be read as another matrix. @throws PipelineError `incompatible` */
function requireSymmetric(values: ArrayLike<number>, n: number, path: string): void {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      const [lower, upper] = [values[i * n + j], values[j * n + i]];
      const size = Math.sqrt(Math.abs(values[i * n + i] * values[j * n + j]));
      if (Math.abs(lower - upper) <= symmetryTolerance * size) continue;
      const where = `"hessian" is ${upper} at (${j}, ${i}) and ${lower} at (${i}, ${j})`;
      throw new PipelineError("incompatible", `${path}: ${where}; a whole symmetric matrix is needed.`);
    }
  }
}

function shaped(m: Matrix, rows: number, cols: number, what: string): Matrix {
  if (m.rows === rows && m.cols === cols) return m;
  throw new PipelineError("incompatible", `${what}: is ${m.rows} x ${m.cols}, but ${rows} x ${cols} is needed.`);
}
