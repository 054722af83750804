import type { Checkpoint } from "@safedelta/checkpoint";
import { accumulate, make } from "@safedelta/core";
import type { Engine, Matrix } from "@safedelta/engine";
import {
  forwardLayer,
  type GroupName,
  type LayerWeights,
  loadLayer,
  type ModelConfig,
  type Segment,
  type Workspace,
} from "@safedelta/model";

/** An engine with the work matrices of a batch. */
export interface Device {
  readonly engine: Engine;
  readonly workspace: Workspace;
}

/** One device's part in the pass of all examples through a layer. */
export interface Share extends Device {
  readonly weights: LayerWeights;
  /** capacity x hiddenSize: the batch in hand. */
  readonly hidden: Matrix;
  /** Of the batches that this device ran, by group. */
  readonly hessians: ReadonlyMap<GroupName, Matrix>;
  /** capacity x inputs of the widest group: the rows that count alike; only where tokens have weights. */
  readonly counted?: Matrix;
}

/** Rows of a batch that count equally often. */
export interface Alike {
  readonly weight: number;
  readonly places: Int32Array;
}

/** Sequences that go through a layer together. */
interface Batch {
  readonly nRows: number;
  /** The rows that count in the Hessians, by how often; undefined: all of them, once. */
  readonly alike?: readonly Alike[];
  readonly segments: readonly Segment[];
}

/** The engine and its peers, no more of them than there are batches. */
export function devicesFor(engine: Engine, nBatches: number): Engine[] {
  return [engine, ...(engine.peers ?? [])].slice(0, nBatches);
}

/**
 * Load a layer on every device.
 * @param sums the first device's Hessians, zero; the others get their own
 * @param isWeighted whether the batches have weights
 * @param owned disposes what is made here
 */
export async function openShares(
  { checkpoint, config }: { readonly checkpoint: Checkpoint; readonly config: ModelConfig },
  devices: readonly Device[],
  layer: number,
  sums: ReadonlyMap<GroupName, Matrix>,
  isWeighted: boolean,
  owned: DisposableStack,
): Promise<Share[]> {
  const shares: Share[] = [];
  const widest = Math.max(...[...sums.values()].map(({ cols }) => cols));
  for (const { engine, workspace } of devices) {
    const weights = owned.use(await loadLayer(engine, checkpoint, config, layer));
    const hidden = owned.use(engine.alloc(workspace.capacity, config.hiddenSize));
    const zeros = () =>
      [...sums].map(([group, { rows, cols }]) => [group, owned.use(engine.alloc(rows, cols))] as const);
    const counted = isWeighted ? owned.use(engine.alloc(workspace.capacity, widest)) : undefined;
    const hessians = shares.length === 0 ? sums : new Map(zeros());
    shares.push({ engine, workspace, weights, hidden, hessians, counted });
  }
  return shares;
}

/**
 * Run the batches through a layer, batch i on device i mod n, so that a sum depends on n and on nothing else. What a device does is
 * queued; the host waits only for the batch that its device began n batches ago, and reads and writes rows while all devices compute.
 * @param read gives the rows of a batch before the layer, `write` gets those behind it, both in the order of the batches
 */
export async function runBatches<B extends Batch>(
  shares: readonly Share[],
  batches: readonly B[],
  nExamples: number,
  read: (batch: B) => Promise<Float32Array>,
  write: (batch: B, rows: Float32Array) => Promise<void>,
): Promise<void> {
  for (let i = 0; i < batches.length + shares.length; i++) {
    const share = shares[i % shares.length];
    const [next, running] = [batches.at(i), batches[i - shares.length]];
    const rows = next && (await read(next));
    const done = running && (share.engine.read(rowsOf(share, running)) as Float32Array);
    if (next && rows) begin(share, next, rows, nExamples);
    if (done) await write(running, done);
  }
}

function begin(share: Share, batch: Batch, rows: Float32Array, nExamples: number): void {
  const { engine, workspace, weights, hessians, counted } = share;
  const x = rowsOf(share, batch);
  engine.write(x, rows);
  const tap = (group: GroupName, activations: Matrix) => {
    const hessian = hessians.get(group);
    if (!hessian) return;
    if (!batch.alike || !counted) return accumulate(engine, hessian, activations, nExamples);
    for (const { weight, places } of batch.alike) {
      const own = counted.view(0, 0, places.length, activations.cols);
      engine.gather(activations, places, null, own);
      accumulate(engine, hessian, own, nExamples, weight);
    }
  };
  forwardLayer(workspace.batch(batch.segments), weights, x, { tap });
}

function rowsOf({ hidden }: Share, { nRows }: Batch): Matrix {
  return hidden.view(0, 0, nRows, hidden.cols);
}

/** Rows of a Hessian that go from one device to another at once. */
const panelRows = 256;

/** The first share's Hessians += those of the others, one after the other; upper triangles alone. */
export function sumHessians([first, ...others]: readonly Share[]): void {
  for (const { engine, hessians } of others) {
    for (const [group, partial] of hessians) {
      const sum = first.hessians.get(group) as Matrix;
      for (let row = 0; row < sum.rows; row += panelRows) {
        const [count, width] = [Math.min(panelRows, sum.rows - row), sum.cols - row];
        const values = engine.read(partial.view(row, row, count, width));
        using moved = make(first.engine, count, width, (m) => first.engine.write(m, values));
        first.engine.add(1, moved, sum.view(row, row, count, width));
      }
    }
  }
}
