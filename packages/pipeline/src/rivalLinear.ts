import { projectDelta, type Repair, repairByRival } from "@safedelta/core";
import type { Matrix } from "@safedelta/engine";
import { randomStream } from "@safedelta/model";
import { at } from "./errors.ts";
import type { LoadedLinear, RivalSettings } from "./linearTasks.ts";
import { linearsOf } from "./pair.ts";
import { uploadF32 } from "./upload.ts";

/** Let a rival make a linear. Its masks are drawn by seed and place of the linear in the model, whatever the order of the work. */
export async function rivalRepair(linear: LoadedLinear, { rival, seed }: RivalSettings): Promise<Repair> {
  const { engine, models, name, weights, prepared } = linear;
  const place = [...linearsOf(models.aligned.config)].findIndex((entry) => entry.linear.name === name);
  using third = await readThird(linear);
  const all = { ...weights, third };
  return at(name, () => repairByRival(engine, rival, all, prepared, randomStream(seed, place)));
}

/** cos(C Δ, Δ) of Safe LoRA; undefined where fine-tuning changed nothing, which is no linear to choose. */
export async function projectionCosine(linear: LoadedLinear): Promise<{ readonly cosine?: number }> {
  const { engine, name, weights } = linear;
  using third = await readThird(linear);
  const { projected, cosine, deltaNorm } = at(name, () => projectDelta(engine, weights, third as Matrix));
  projected[Symbol.dispose]();
  return deltaNorm === 0 ? {} : { cosine };
}

async function readThird({ engine, models, name }: LoadedLinear): Promise<Matrix | undefined> {
  const checkpoint = models.third?.checkpoint;
  return checkpoint && uploadF32(engine, await checkpoint.read(name), checkpoint.spec);
}
