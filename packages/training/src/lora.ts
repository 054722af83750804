import type { Engine, Matrix } from "@safedelta/engine";
import { type Adapt, type GroupName, groupsOfLayer, type ModelConfig, randomStream } from "@safedelta/model";
import type { BackwardAdapt } from "./backwardLayer.ts";
import type { Gradients } from "./gradients.ts";
import type { Trained } from "./parameters.ts";

/** A low-rank adapter (Hu et al., arXiv 2106.09685) as PEFT has it: out += alpha/rank · (input Aᵀ) Bᵀ; no dropout. */
export interface LoraOptions {
  readonly rank: number;
  readonly alpha: number;
  /** Last parts of the module names that are adapted, such as `q_proj`. */
  readonly targets: readonly string[];
}

/** The factors on one linear. */
export interface LoraLinear {
  /** The linear's weight tensor, `model.layers.0.self_attn.q_proj.weight`. */
  readonly name: string;
  readonly group: GroupName;
  /** The linear's rows in its group. */
  readonly row: number;
  readonly rows: number;
  /** rank x inputs. */
  readonly a: Matrix;
  /** outputs x rank. */
  readonly b: Matrix;
}

/** The adapters on all layers, their factors in f32. */
export interface Lora extends Disposable {
  readonly scale: number;
  readonly layers: readonly (readonly LoraLinear[])[];
  readonly trained: readonly Trained[];
}

/** The last parts of the module names of a model's linears: `q_proj`, …. */
export function loraTargets(config: ModelConfig): string[] {
  return groupsOfLayer(config, 0).flatMap(({ linears }) => linears.map(({ name }) => moduleOf(name)));
}

/** `q_proj` of `model.layers.0.self_attn.q_proj.weight`. */
function moduleOf(weight: string): string {
  return weight.split(".").at(-2) as string;
}

/** Bytes of the factors of all layers, in f32. */
export function loraNumbers(config: ModelConfig, { rank, targets }: LoraOptions): number {
  const linears = groupsOfLayer(config, 0).flatMap((group) => group.linears);
  const adapted = linears.filter(({ name }) => targets.includes(moduleOf(name)));
  return config.nLayers * adapted.reduce((sum, { rows, cols }) => sum + rank * (rows + cols), 0);
}

/**
 * New adapters: B zero, A uniform in ±1/√inputs, the distribution of PEFT's `kaiming_uniform_(a=√5)`.
 * @throws EngineMemoryError
 */
export function openLora(engine: Engine, config: ModelConfig, options: LoraOptions, seed: number): Lora {
  using owned = new DisposableStack();
  const random = randomStream(seed, 0);
  const layers = Array.from({ length: config.nLayers }, (_, layer) =>
    linearsOf(config, layer, options.targets).map(({ cols, ...linear }): LoraLinear => {
      const [a, b] = [owned.use(engine.alloc(options.rank, cols)), owned.use(engine.alloc(linear.rows, options.rank))];
      const bound = 1 / Math.sqrt(cols);
      engine.write(
        a,
        Float32Array.from({ length: options.rank * cols }, () => (2 * random() - 1) * bound),
      );
      return { ...linear, a, b };
    }),
  );
  const kept = owned.move();
  const trained = layers.flat().flatMap(({ name, a, b }) => [
    { name: `${name}.a`, weight: a, decays: true },
    { name: `${name}.b`, weight: b, decays: true },
  ]);
  return { scale: options.alpha / options.rank, layers, trained, [Symbol.dispose]: () => kept.dispose() };
}

function linearsOf(config: ModelConfig, layer: number, targets: readonly string[]) {
  return groupsOfLayer(config, layer).flatMap(({ name: group, linears }) => {
    let end = 0;
    const placed = linears.map(({ name, rows, cols }) => {
      end += rows;
      return { name, group, row: end - rows, rows, cols };
    });
    return placed.filter(({ name }) => targets.includes(moduleOf(name)));
  });
}

/** Adds what the adapters of a layer give in the forward pass. */
export function loraForward(engine: Engine, lora: Lora, layer: number): Adapt {
  return (group, input, out) => {
    for (const { row, rows, a, b } of linearsIn(lora, layer, group)) {
      using low = project(engine, input, a);
      engine.gemm(lora.scale, low, false, b, true, 1, out.view(0, row, out.rows, rows));
    }
  };
}

/** Adds the gradients of the factors of a layer, and what goes through them to the input. */
export function loraBackward(engine: Engine, lora: Lora, gradients: Gradients, layer: number): BackwardAdapt {
  return (group, input, dOut, dInput) => {
    for (const { row, rows, a, b } of linearsIn(lora, layer, group)) {
      const dPart = dOut.view(0, row, dOut.rows, rows);
      using low = project(engine, input, a);
      gradients.addProduct(b, dPart, low, lora.scale);
      engine.gemm(lora.scale, dPart, false, b, false, 0, low);
      gradients.addProduct(a, low, input);
      engine.gemm(1, low, false, a, false, 1, dInput);
    }
  };
}

function linearsIn({ layers }: Lora, layer: number, group: GroupName): readonly LoraLinear[] {
  return layers[layer].filter((linear) => linear.group === group);
}

/** input Aᵀ, nTokens x rank, new. */
function project(engine: Engine, input: Matrix, a: Matrix): Matrix {
  const low = engine.alloc(input.rows, a.rows);
  engine.gemm(1, input, false, a, true, 0, low);
  return low;
}
