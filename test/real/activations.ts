import type { Checkpoint } from "@safedelta/checkpoint";
import type { Engine, Matrix } from "@safedelta/engine";
import {
  embed,
  forwardLayer,
  type GroupName,
  loadLayer,
  openWorkspace,
  packSegments,
  parseConfig,
} from "@safedelta/model";

/** What enters the groups of one layer on one sequence: row-major, tokens x columns. */
export type Inputs = ReadonlyMap<GroupName, Float32Array>;

/** Run sequences through the layers up to `layer`, and give each one's inputs to the groups of that layer. */
export async function inputsOfLayer(
  engine: Engine,
  checkpoint: Checkpoint,
  sequences: readonly (readonly number[])[],
  layer: number,
): Promise<Inputs[]> {
  const config = parseConfig(checkpoint.config);
  using owned = new DisposableStack();
  const hidden: Matrix[] = [];
  for (const ids of sequences) hidden.push(owned.use(await embed(engine, checkpoint, config, ids)));
  using workspace = openWorkspace(engine, config, Math.max(...sequences.map(({ length }) => length)));
  const inputs = sequences.map(() => new Map<GroupName, Float32Array>());
  for (let at = 0; at <= layer; at++) {
    using weights = await loadLayer(engine, checkpoint, config, at);
    hidden.forEach((x, i) => {
      const keep = (group: GroupName, x: Matrix) => inputs[i].set(group, engine.read(x) as Float32Array);
      forwardLayer(workspace.batch(packSegments([x.rows])), weights, x, at === layer ? { tap: keep } : {});
    });
  }
  return inputs;
}
