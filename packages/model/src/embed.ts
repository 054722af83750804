import { type Checkpoint, decodeF32, requireFinite } from "@safedelta/checkpoint";
import type { Engine, Matrix } from "@safedelta/engine";
import type { ModelConfig } from "./config.ts";
import { ModelError } from "./error.ts";
import { tensorNames } from "./families.ts";

/**
 * The embeddings of tokens as a new ids.length x hiddenSize matrix, what the first layer takes. Reads only the rows of the
 * distinct ids, so memory does not grow with the vocabulary.
 * @throws ModelError (`incompatible`) on ids outside the vocabulary, CheckpointError on an unreadable or non-finite table.
 */
export async function embed(
  engine: Engine,
  checkpoint: Checkpoint,
  config: ModelConfig,
  ids: readonly number[],
): Promise<Matrix> {
  checkIds(config, ids);
  const rows = await embeddingRows(checkpoint, ids);
  const values = new Float32Array(ids.length * config.hiddenSize);
  ids.forEach((id, t) => {
    values.set(rows.get(id) as Float32Array, t * config.hiddenSize);
  });
  for (let i = 0; i < values.length; i++) values[i] *= config.embeddingScale;
  using made = new DisposableStack();
  const matrix = made.use(engine.alloc(ids.length, config.hiddenSize));
  engine.write(matrix, values);
  made.move();
  return matrix;
}

/** x := embeddingScale · x (tokens x hiddenSize): of what was gathered from the table, and of its gradient. */
export function scaleEmbedding(engine: Engine, { embeddingScale, hiddenSize }: ModelConfig, x: Matrix): void {
  if (embeddingScale !== 1) engine.scaleCols(x, new Float32Array(hiddenSize).fill(embeddingScale));
}

/** @throws ModelError (`incompatible`) naming the first token id that is not in the vocabulary. */
export function checkIds(config: ModelConfig, ids: readonly number[]): void {
  const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= config.vocabularySize);
  if (bad === undefined) return;
  throw new ModelError("incompatible", [
    `Token id ${bad} is not in the model's vocabulary of ${config.vocabularySize}; is the tokenizer that of another model?`,
  ]);
}

/** The embedding of each distinct id; neighbouring ids are read at once. */
async function embeddingRows(checkpoint: Checkpoint, ids: readonly number[]): Promise<Map<number, Float32Array>> {
  const rows = new Map<number, Float32Array>();
  for (const { start, count } of runs([...new Set(ids)].sort((a, b) => a - b))) {
    const tensor = await checkpoint.readRows(tensorNames.embedding, start, count);
    requireFinite(tensor, checkpoint.spec);
    const values = decodeF32(tensor);
    const size = values.length / count;
    for (let i = 0; i < count; i++) rows.set(start + i, values.subarray(i * size, (i + 1) * size));
  }
  return rows;
}

/** Ascending numbers as runs of consecutive ones. */
function runs(ascending: readonly number[]): { start: number; count: number }[] {
  const found: { start: number; count: number }[] = [];
  for (const id of ascending) {
    const last = found.at(-1);
    if (last && last.start + last.count === id) last.count++;
    else found.push({ start: id, count: 1 });
  }
  return found;
}
