import { type Checkpoint, decodeF32, encode, requireFinite } from "@safedelta/checkpoint";
import type { Engine, Matrix } from "@safedelta/engine";
import type { ModelConfig } from "./config.ts";
import { ModelError } from "./error.ts";
import { atLayer, type GroupName, tensorNames } from "./families.ts";
import { groupsOfLayer, type LayerGroup } from "./groups.ts";
import { biasName, layerTensors } from "./tensors.ts";

/** The linears of one group stacked on top of each other, so that one product serves them all. */
export interface StackedLinears {
  /** Σ rows x cols. */
  readonly weight: Matrix;
  /** 1 x Σ rows. */
  readonly bias: Matrix | null;
}

/** How weight matrices are kept in engine memory. Norms and biases are always f32. */
export type WeightType = "f32" | "bf16";

/** One layer's weights in engine memory; f32, but for the matrices of a model that is trained in bf16. */
export interface LayerWeights extends Readonly<Record<GroupName, StackedLinears>>, Disposable {
  /** 1 x hiddenSize, before the attention. */
  readonly inputNorm: Matrix;
  /** 1 x hiddenSize, before the feed-forward part. */
  readonly mlpNorm: Matrix;
  /** 1 x headDim. */
  readonly qNorm: Matrix | null;
  readonly kNorm: Matrix | null;
}

/** Bytes that `loadLayer` takes of engine memory. */
export function layerBytes(config: ModelConfig): number {
  const elements = [...layerTensors(config, 0).values()].map(({ shape }) => shape.reduce((a, b) => a * b, 1));
  return 4 * elements.reduce((a, b) => a + b, 0);
}

/**
 * Load one layer, widened to f32 (its matrices, where asked, rounded to bf16), a tensor at a time.
 * @throws ModelError (`incompatible`) on a wrong shape, CheckpointError on a missing, unreadable or non-finite tensor.
 */
export async function loadLayer(
  engine: Engine,
  checkpoint: Checkpoint,
  config: ModelConfig,
  layer: number,
  dtype: WeightType = "f32",
): Promise<LayerWeights> {
  using owned = new DisposableStack();
  const source: Source = { engine, checkpoint, owned, dtype };
  const norm = (name: string, size: number) => loadVector(source, atLayer(name, layer), size);
  const [qkv, o, gateUp, down] = groupsOfLayer(config, layer);
  const stack = (group: LayerGroup) => loadGroup(source, group, config.biases[group.name]);
  const weights = {
    inputNorm: await norm(tensorNames.inputNorm, config.hiddenSize),
    qNorm: config.qkNorm ? await norm(tensorNames.qNorm, config.headDim) : null,
    kNorm: config.qkNorm ? await norm(tensorNames.kNorm, config.headDim) : null,
    qkv: await stack(qkv),
    o: await stack(o),
    mlpNorm: await norm(tensorNames.mlpNorm, config.hiddenSize),
    gateUp: await stack(gateUp),
    down: await stack(down),
  };
  const kept = owned.move();
  return { ...weights, [Symbol.dispose]: () => kept.dispose() };
}

/** Where tensors come from, and who disposes the matrices that they go to. */
export interface Source {
  readonly engine: Engine;
  readonly checkpoint: Checkpoint;
  readonly owned: DisposableStack;
  readonly dtype: WeightType;
}

/** A tensor of rows · cols numbers as a new rows x cols matrix. */
export async function loadMatrix(source: Source, name: string, rows: number, cols: number): Promise<Matrix> {
  const matrix = source.owned.use(source.engine.alloc(rows, cols, source.dtype));
  await loadInto(source, name, matrix);
  return matrix;
}

/** A tensor of `size` numbers as a new 1 x size matrix in f32. */
export function loadVector(source: Source, name: string, size: number): Promise<Matrix> {
  return loadMatrix({ ...source, dtype: "f32" }, name, 1, size);
}

async function loadGroup(source: Source, { linears, cols }: LayerGroup, biased: boolean): Promise<StackedLinears> {
  const { engine, owned, dtype } = source;
  const rows = linears.reduce((sum, linear) => sum + linear.rows, 0);
  const weight = owned.use(engine.alloc(rows, cols, dtype));
  const bias = biased ? owned.use(engine.alloc(1, rows)) : null;
  let row = 0;
  for (const linear of linears) {
    await loadInto(source, linear.name, weight.view(row, 0, linear.rows, cols));
    if (bias) await loadInto(source, biasName(linear.name), bias.view(0, row, 1, linear.rows));
    row += linear.rows;
  }
  return { weight, bias };
}

async function loadInto({ engine, checkpoint }: Source, name: string, matrix: Matrix): Promise<void> {
  const tensor = await checkpoint.read(name);
  requireFinite(tensor, checkpoint.spec);
  const values = decodeF32(tensor);
  if (values.length !== matrix.rows * matrix.cols) {
    const size = `${matrix.rows} x ${matrix.cols}`;
    throw new ModelError("incompatible", [
      `Tensor ${name} holds ${values.length} numbers; config.json asks for ${size}.`,
    ]);
  }
  engine.write(matrix, matrix.dtype === "f32" ? values : new Uint16Array(encode(values, "BF16").buffer));
}
