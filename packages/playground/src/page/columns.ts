import type { Role } from "../scene.ts";
import { repairedName } from "../worker/messages.ts";
import type { State } from "./state.ts";
import { stopOf } from "./stored.ts";

/** What is compared, in the order of the story: before, repaired, after, others. The live repair has its place while it is prepared, too. */
export function columnsOf({ scene, repair, exchanges }: State): string[] {
  const named = (role: Role) => scene?.models.filter((model) => model.role === role).map(({ name }) => name) ?? [];
  const isPrepared = repair === "preparing" || repair === "ready";
  const isLive = isPrepared || exchanges.some(({ answers }) => repairedName in answers);
  const swept = scene?.sweeps.map(({ name }) => name) ?? [];
  return [...named("aligned"), ...(isLive ? [repairedName] : []), ...swept, ...named("tuned"), ...named("other")];
}

/** Those that can be asked now; models that are still loaded answer when they are there. */
export function askableOf(state: State): string[] {
  return columnsOf(state).filter((model) => model !== repairedName || state.repair === "ready");
}

/** Where the dial of a model stands; undefined where it has none. */
export function settingOf(model: string, state: State): string | undefined {
  return model === repairedName ? `strength ${state.strength}` : stopOf(model, state)?.setting;
}

/** Whether a model is run by this page, or will be when it is open. */
export function isInPage(model: string, { where, inPage }: State): boolean {
  return model === repairedName || (where === "page" && inPage.includes(model));
}
