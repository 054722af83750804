import type { SceneModel } from "../scene.ts";

/**
 * Most bytes of f32 weights, all models together and the repaired one that the page adds to a pair: WebAssembly has 4 GiB, and answers and
 * the repair's statistics need some of it.
 */
const mostBytes = 2.7e9;

/** Most of one model, so that a pair of that size can be repaired. */
const mostModelBytes = mostBytes / 3;

/** What the page opens, and why not the rest. */
export interface PageModels {
  readonly names: readonly string[];
  /** The pair that can be repaired is among them. */
  readonly hasPair: boolean;
  /** In words; undefined where all are opened. */
  readonly left?: string;
}

/** The models that fit the page, the pair first. Stops of stored sweeps are many, and are run by this computer. */
export function pageModels(models: readonly SceneModel[]): PageModels {
  const run = models.filter(({ kind, role }) => kind === "tensors" && role !== "swept");
  const pair = run.filter(({ role }) => role === "aligned" || role === "tuned");
  const sizes = [...pair, ...run.filter((model) => !pair.includes(model))];
  const isPair = pair.length === 2;
  let room = mostBytes - (isPair ? Math.max(...pair.map(({ f32Bytes }) => f32Bytes)) : 0);
  const opened = sizes.filter(({ f32Bytes }) => {
    const fits = f32Bytes <= Math.min(room, mostModelBytes);
    if (fits) room -= f32Bytes;
    return fits;
  });
  const left = run.filter((model) => !opened.includes(model));
  return {
    names: opened.map(({ name }) => name),
    hasPair: isPair && pair.every((model) => opened.includes(model)),
    left: left.length === 0 ? undefined : wordsOf(left),
  };
}

function wordsOf(left: readonly SceneModel[]): string {
  const named = left.map(({ name, f32Bytes }) => `${name} (${Math.round(f32Bytes / 4e6)} million weights)`);
  const most = Math.round(mostModelBytes / 4e6);
  return (
    `Too large for this page, which runs models of up to ${most} million weights, about three at once: ${named.join(", ")}. ` +
    "This computer answers for them. To have the browser's graphics card do it, write them with safedelta export mlc and show those folders, too."
  );
}
