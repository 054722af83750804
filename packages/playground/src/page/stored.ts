import type { StoredStop, StoredSweep } from "../scene.ts";
import type { State } from "./state.ts";

/** Where the dial of a stored sweep stands: at its middle until it is moved. */
export function stopIndex({ name, stops }: StoredSweep, kept: State["stops"]): number {
  const at = kept[name] ?? Math.floor(stops.length / 2);
  return Math.min(stops.length - 1, Math.max(0, at));
}

/** The model where the dial of a stored sweep stands; undefined for any other name. */
export function stopOf(name: string, { scene, stops }: Pick<State, "scene" | "stops">): StoredStop | undefined {
  const sweep = scene?.sweeps.find((one) => one.name === name);
  return sweep?.stops[stopIndex(sweep, stops)];
}
