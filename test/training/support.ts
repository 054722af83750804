import { join } from "node:path";
import { type Checkpoint, decodeF32, openSafetensors, type TensorFile } from "@safedelta/checkpoint";
import { type Engine, type EngineChoice, type Matrix, openEngine } from "@safedelta/engine";
import { type Model, modelTensors, openModel, type WeightType } from "@safedelta/model";
import {
  countTargets,
  defaultAdamW,
  type LoraOptions,
  openLora,
  openTrainer,
  type Parameter,
  type Trainer,
  type TrainerOptions,
  type TrainingExample,
  trainedOf,
} from "@safedelta/training";
import { fixture, withCheckpoint } from "../model/support.ts";

export const sequences: readonly TrainingExample[] = [
  { ids: [1, 7, 9, 3, 22, 5, 8, 30, 11, 13, 2, 17], targets: [-1, -1, 3, 22, 5, 8, 30, -1, 13, 2, 17, 2] },
  { ids: [1, 4, 6, 6], targets: [-1, 6, 6, 2] },
];

export const nTargets = countTargets(sequences);

export interface Training extends Disposable {
  readonly engine: Engine;
  readonly model: Model;
  readonly trainer: Trainer;
}

export interface TrainingSetup extends Partial<TrainerOptions> {
  readonly weights?: WeightType;
  readonly lora?: LoraOptions;
}

/** A trainer on a pico model of a family, on an engine of its own. */
export async function openTraining(
  engineName: EngineChoice,
  family: string,
  setup: TrainingSetup = {},
): Promise<Training> {
  using owned = new DisposableStack();
  const engine = owned.use((await openEngine(engineName)).engine);
  const training = owned.use(await openTrainingOn(engine, family, setup));
  const held = owned.move();
  return { ...training, [Symbol.dispose]: () => held.dispose() };
}

/** The same on an engine that the caller disposes. */
export async function openTrainingOn(engine: Engine, family: string, setup: TrainingSetup = {}): Promise<Training> {
  const { lora: settings, weights, ...given } = setup;
  using owned = new DisposableStack();
  const open = (checkpoint: Checkpoint) => openModel(engine, checkpoint, weights);
  const model = owned.use(await withCheckpoint(fixture(family), open));
  const lora = settings && owned.use(openLora(engine, model.config, settings, 1));
  const options = { adamW: defaultAdamW, clip: 0, capacity: 16, recompute: false, ...given };
  const trainer = owned.use(openTrainer(model, lora?.trained ?? trainedOf(model, "all"), options, lora));
  const held = owned.move();
  return { engine, model, trainer, [Symbol.dispose]: () => held.dispose() };
}

/** The numbers of a matrix. */
export function numbersOf(engine: Engine, m: Matrix): Float32Array {
  return engine.read(m) as Float32Array;
}

/** The gradient of each tensor of the model's files, from that of the stacked matrix that it lies in. */
export function tensorGradients({ engine, model, trainer }: Training): Map<string, Float32Array> {
  const byWeight = new Map(trainer.parameters.map((parameter) => [parameter.weight, parameter]));
  const gradients = new Map<string, Float32Array>();
  const ends = new Map<Matrix, number>();
  for (const [name, { owner, values }] of modelTensors(model)) {
    const all = numbersOf(engine, (byWeight.get(owner) as Parameter).gradient);
    const start = values === owner ? 0 : (ends.get(owner) ?? 0);
    const end = start + values.rows * values.cols;
    gradients.set(name, all.slice(start, end));
    ends.set(owner, end);
  }
  return gradients;
}

/** A file of expected values made by make_expected.py. */
export async function withExpected<T>(name: string, use: (file: TensorFile) => Promise<T>): Promise<T> {
  const file = await openSafetensors(join(import.meta.dir, "fixtures", name));
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

export async function expectedNumbers(file: TensorFile, name: string): Promise<Float32Array> {
  return decodeF32(await file.read(name));
}

/** The largest difference, in units of the largest expected number. */
export function relativeGap(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (found.length !== expected.length) throw new Error(`${found.length} numbers against ${expected.length}`);
  const size = Array.from(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return Array.from(found).reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]) / size), 0);
}
