/** The repair that a page makes in memory is the one that `prepare` and `apply` make with files. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { decodeF32 } from "@safedelta/checkpoint";
import { type Engine, openEngine } from "@safedelta/engine";
import { linearNames, modelTensors, openModel } from "@safedelta/model";
import { apply, openModelFiles, prepare, readSequences, silent, sweep } from "@safedelta/pipeline";
import { prepareLive } from "@safedelta/playground";
import { applyOptions, prepareOptions, safeData } from "../pipeline/job.ts";
import { scratchFolder, tinyFolder } from "../support/pico.ts";

const pair = { aligned: join(tinyFolder, "aligned"), tuned: join(tinyFolder, "tuned") };
const share = 0.2;

/** The tiny pair, prepared live in an engine. */
async function openLive(engine: Engine) {
  await using owned = new AsyncDisposableStack();
  const [alignedFiles, tunedFiles] = [
    owned.use(await openModelFiles(pair.aligned, true, silent)),
    owned.use(await openModelFiles(pair.tuned, true, silent)),
  ];
  const open = async (files: typeof alignedFiles) => owned.use(await openModel(engine, files.checkpoint));
  const models = {
    aligned: await open(alignedFiles),
    tuned: await open(tunedFiles),
    repaired: await open(alignedFiles),
  };
  const { ids } = await readSequences(safeData, alignedFiles, true, silent);
  const layers: number[] = [];
  const live = owned.use(await prepareLive(models, ids, (layer) => layers.push(layer)));
  const held = owned.move();
  return { models, live, layers, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

test("weights and numbers equal those of prepare, apply and sweep, to the last bit", async () => {
  await using scratch = await scratchFolder();
  const { engine } = await openEngine("wasm");
  using _engine = engine;
  const [state, out] = [join(scratch.path, "state"), join(scratch.path, "out")];
  const budget = { kind: "loss", share } as const;
  await prepare(engine, prepareOptions(pair.aligned, state, { modes: ["optimal"] }), silent);
  await apply(engine, applyOptions(pair, state, out, { budget }), () => new Map(), silent);
  const [swept] = await sweep(engine, { ...pair, state, modes: ["optimal"], budgets: [budget], offline: true }, silent);
  await using opened = await openLive(engine);
  const { live, models, layers } = opened;
  live.repairAt(share);
  expect(layers).toEqual([0, 1]);
  await using written = await openModelFiles(out, true, silent);
  const inMemory = modelTensors(models.repaired);
  const names = [0, 1].flatMap((layer) => linearNames(models.aligned.config, layer));
  expect(live.linears.map(({ name }) => name)).toEqual(names);
  for (const name of names) {
    const expected = decodeF32(await written.checkpoint.read(name));
    const values = inMemory.get(name)?.values ?? expect.unreachable();
    expect(Buffer.from(engine.read(values).buffer).equals(Buffer.from(expected.buffer))).toBe(true);
  }
  const told = live.numbersAt(share).map(({ safetyLoss, utilityGap }) => [safetyLoss, utilityGap]);
  expect(told).toEqual(swept.linears.map(({ safetyLoss, utilityGap }) => [safetyLoss, utilityGap]));
}, 60_000);

describe("the dial", () => {
  test("ends at the tuned and at the aligned weights, and leaves both models as they were", async () => {
    const { engine } = await openEngine("wasm");
    using _engine = engine;
    await using opened = await openLive(engine);
    const { live, models } = opened;
    const valuesOf = (model: (typeof models)["aligned"]) => {
      const tensors = modelTensors(model);
      return live.linears.map(({ name }) => engine.read(tensors.get(name)?.values ?? expect.unreachable()));
    };
    const [aligned, tuned] = [valuesOf(models.aligned), valuesOf(models.tuned)];
    live.repairAt(0.3);
    live.repairAt(1);
    expect(valuesOf(models.repaired)).toEqual(tuned);
    live.repairAt(0);
    expect(valuesOf(models.repaired)).toEqual(aligned);
    expect([valuesOf(models.aligned), valuesOf(models.tuned)]).toEqual([aligned, tuned]);
    expect(aligned).not.toEqual(tuned);
  });

  test("nothing of the engine's memory is left behind", async () => {
    const { engine } = await openEngine("wasm");
    using _engine = engine;
    {
      await using opened = await openLive(engine);
      const before = engine.bytesInUse;
      opened.live.repairAt(0.1);
      expect(engine.bytesInUse).toBe(before);
    }
    expect(engine.bytesInUse).toBe(0);
  });
});
