import { type Model, openModel } from "@safedelta/model";
import { type OpenedModel, openModelTokenizer } from "@safedelta/pipeline";
import type { Tokenizer } from "@safedelta/tokenizer";
import type { Io } from "./io.ts";
import { type EngineOptions, openTold } from "./openTold.ts";

/** A whole model in an engine of its own; disposing it frees both. */
export interface LoadedModel extends Disposable {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
}

/** Load a model whose files are open. @throws TokenizerError, ModelError, CheckpointError, and what opening an engine throws */
export async function loadModel(
  files: OpenedModel,
  options: EngineOptions,
  io: Pick<Io, "note" | "progress">,
): Promise<LoadedModel> {
  const tokenizer = await openModelTokenizer(files);
  using opened = new DisposableStack();
  const engine = opened.use(await openTold(options, io));
  const model = opened.use(await openModel(engine, files.checkpoint));
  const held = opened.move();
  return { model, tokenizer, [Symbol.dispose]: () => held.dispose() };
}
