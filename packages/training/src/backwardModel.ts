import type { Matrix } from "@safedelta/engine";
import { type Batch, forwardLayer, type Model, openWorkspace, scaleEmbedding, type Workspace } from "@safedelta/model";
import { backwardLayer } from "./backwardLayer.ts";
import type { Pass } from "./example.ts";
import type { Gradients } from "./gradients.ts";
import { type KeptLayer, keepInto, openKept, topOf } from "./kept.ts";
import { type Lora, loraBackward, loraForward } from "./lora.ts";
import { backwardLoss } from "./loss.ts";
import { openScratch, type Scratch, topScratch } from "./scratch.ts";
import { Weights } from "./weights.ts";

/** Memory for passes of at most so many tokens. */
export interface PassMemory extends Disposable {
  readonly weights: Weights;
  readonly workspace: Workspace;
  readonly scratch: Scratch;
  /** What each layer's forward pass leaves for its backward pass; one that all layers share where that is recomputed. */
  readonly kept: readonly KeptLayer[];
  /** Where it is recomputed: each layer's input. */
  readonly inputs: readonly Matrix[];
}

/** @throws EngineMemoryError when the engine cannot hold `passBytes` */
export function openPassMemory(model: Model, capacity: number, recompute: boolean): PassMemory {
  const { engine, config } = model;
  using owned = new DisposableStack();
  const weights = owned.use(new Weights(model));
  const workspace = owned.use(openWorkspace(engine, config, capacity));
  const scratch = openScratch(engine, config, capacity, owned);
  const kept = Array.from({ length: recompute ? 1 : config.nLayers }, () => openKept(engine, config, capacity, owned));
  const inputs = Array.from({ length: recompute ? config.nLayers : 0 }, () =>
    owned.use(engine.alloc(capacity, config.hiddenSize)),
  );
  const held = owned.move();
  return { weights, workspace, scratch, kept, inputs, [Symbol.dispose]: () => held.dispose() };
}

/** What one pass works with. */
interface Run {
  readonly model: Model;
  readonly gradients: Gradients;
  readonly lora?: Lora;
  readonly batch: Batch;
  readonly scratch: Scratch;
  readonly memory: PassMemory;
}

/**
 * Run a pass forward and backward: adds the gradients of the sum of its losses to those of all trained weights.
 * @returns that sum, in nats
 */
export function backwardModel(model: Model, gradients: Gradients, pass: Pass, memory: PassMemory, lora?: Lora): number {
  const { engine, config } = model;
  const batch = memory.workspace.batch(pass.segments);
  const scratch = topScratch(memory.scratch, batch.nTokens);
  const run: Run = { model, gradients, lora, batch, scratch, memory };
  engine.convert(batch.sin, scratch.negativeSin);
  engine.scaleCols(scratch.negativeSin, new Float32Array(batch.sin.cols).fill(-1));
  memory.weights.embed(pass.ids, scratch.x);
  scaleEmbedding(engine, config, scratch.x);
  for (let layer = 0; layer < config.nLayers; layer++) forwardKeeping(run, layer);
  const loss = backwardLoss(model, memory.weights.head(), gradients, pass, scratch.x, scratch.dX);
  for (let layer = config.nLayers - 1; layer >= 0; layer--) backwardOne(run, layer);
  backwardEmbedding(model, gradients, pass.ids, scratch.dX);
  return loss;
}

function backwardEmbedding(
  { engine, config, embedding }: Model,
  gradients: Gradients,
  ids: Int32Array,
  dX: Matrix,
): void {
  const gradient = gradients.sum(embedding);
  if (!gradient) return;
  scaleEmbedding(engine, config, dX);
  engine.scatterAdd(dX, ids, gradient);
}

/** One layer forward over scratch.x, keeping what its backward pass needs, or only its input. */
function forwardKeeping({ model, lora, batch, scratch, memory }: Run, layer: number): void {
  const { engine } = model;
  const adapt = lora && loraForward(engine, lora, layer);
  const input = memory.inputs[layer];
  if (input) engine.convert(scratch.x, input.view(0, 0, batch.nTokens, input.cols));
  const keep = input ? undefined : keepInto(engine, topOf(memory.kept[layer], batch.nTokens));
  forwardLayer(batch, memory.weights.layer(layer), scratch.x, { keep, adapt });
}

function backwardOne({ model, gradients, lora, batch, scratch, memory }: Run, layer: number): void {
  const { engine } = model;
  const [weights, trained] = [memory.weights.layer(layer), model.layers[layer]];
  const input = memory.inputs[layer];
  const kept = topOf(memory.kept[input ? 0 : layer], batch.nTokens);
  if (input) {
    engine.convert(input.view(0, 0, batch.nTokens, input.cols), scratch.x);
    const adapt = lora && loraForward(engine, lora, layer);
    forwardLayer(batch, weights, scratch.x, { keep: keepInto(engine, kept), adapt });
  }
  const adapt = lora && loraBackward(engine, lora, gradients, layer);
  backwardLayer({ batch, weights, trained, kept, scratch, gradients, adapt }, scratch.dX);
}
