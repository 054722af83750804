import { type Model, ModelError } from "@safedelta/model";
import { backwardModel, openPassMemory } from "./backwardModel.ts";
import type { Pass } from "./example.ts";
import { Gradients } from "./gradients.ts";
import type { Lora } from "./lora.ts";
import { openParameters, type Parameter, type Trained } from "./parameters.ts";
import { sum } from "./sum.ts";

/** AdamW as PyTorch has it (Loshchilov and Hutter, arXiv 1711.05101): decoupled weight decay, bias correction, f32 averages. */
export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** Of matrices; biases and norm weights have none. */
  readonly weightDecay: number;
}

/** PyTorch's defaults, but no weight decay, as Hugging Face's Trainer. */
export const defaultAdamW: AdamWOptions = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 };

export interface TrainerOptions {
  readonly adamW: AdamWOptions;
  /** Gradients are scaled down to this global norm; 0: not at all. */
  readonly clip: number;
  /** Most tokens of a pass. */
  readonly capacity: number;
  /** Run each layer forward again before its backward pass instead of keeping what it needs. */
  readonly recompute: boolean;
}

/** What one update did. */
export interface Update {
  /** Mean cross entropy of the positions that count, before the update, in nats. */
  readonly loss: number;
  /** Of that mean, before clipping. */
  readonly gradientNorm: number;
  readonly nTokens: number;
  readonly nTargets: number;
}

export interface Trainer extends Disposable {
  readonly parameters: readonly Parameter[];
  /**
   * One update of all trained weights from the passes of one batch.
   * @param step number of this update, from 1
   * @throws ModelError (`notFinite`) when loss or gradient are not finite; nothing is changed then
   */
  update(passes: readonly Pass[], rate: number, step: number): Update;
}

/**
 * Trains `trained` matrices of a model, or the adapters on it.
 * @throws EngineMemoryError when what it needs does not fit
 */
export function openTrainer(model: Model, trained: readonly Trained[], options: TrainerOptions, lora?: Lora): Trainer {
  using owned = new DisposableStack();
  const { list: parameters } = owned.use(openParameters(model.engine, trained));
  const memory = owned.use(openPassMemory(model, options.capacity, options.recompute));
  const gradients = owned.use(new Gradients(model.engine, parameters));
  const held = owned.move();
  return {
    parameters,
    update(passes, rate, step) {
      gradients.clear();
      const losses = passes.map((pass) => backwardModel(model, gradients, pass, memory, lora));
      const nTargets = sum(passes.map(({ targets }) => targets.length));
      const loss = sum(losses) / nTargets;
      const gradientNorm = gradients.norm() / nTargets;
      requireFinite(loss, gradientNorm, step);
      const scale = clipFactor(options.clip, gradientNorm) / nTargets;
      for (const parameter of parameters) descend(model, parameter, options.adamW, { rate, step, scale });
      return { loss, gradientNorm, nTokens: sum(passes.map(({ ids }) => ids.length)), nTargets };
    },
    [Symbol.dispose]: () => held.dispose(),
  };
}

function descend(
  { engine }: Model,
  { weight, gradient, m, v, decays }: Parameter,
  { beta1, beta2, eps, weightDecay }: AdamWOptions,
  { rate, step, scale }: { readonly rate: number; readonly step: number; readonly scale: number },
): void {
  const decay = decays ? weightDecay : 0;
  engine.adamW(weight, gradient, m, v, { lr: rate, beta1, beta2, eps, weightDecay: decay, step, scale });
}

/** PyTorch's clip_grad_norm_: max_norm / (norm + 1e-6), at most 1. */
function clipFactor(clip: number, norm: number): number {
  return clip > 0 ? Math.min(1, clip / (norm + 1e-6)) : 1;
}

function requireFinite(loss: number, gradientNorm: number, step: number): void {
  if (Number.isFinite(loss) && Number.isFinite(gradientNorm)) return;
  const found = `loss ${loss}, gradient norm ${gradientNorm}`;
  throw new ModelError("notFinite", [`Update ${step} met ${found}. Lower the learning rate, or look at the data.`]);
}
