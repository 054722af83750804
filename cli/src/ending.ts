import { exitCode } from "./exitCode.ts";

let ending: (() => void) | undefined;

/** Have the next SIGINT or SIGTERM call this instead of ending the process; the one after that ends it. */
export function onEnding(end: () => void): void {
  ending = end;
}

/** Call what waits for the end, once; false where nothing does. */
export function endCleanly(): boolean {
  const end = ending;
  ending = undefined;
  end?.();
  return end !== undefined;
}

/** How often a step of an experiment looks whether the experiment still runs. */
const parentMs = 200;

/** Have this process end with the one that started it, where that is an experiment: killed, it takes its steps along. */
export function endWithParent(parent = process.env.SAFEDELTA_PARENT): void {
  if (!parent) return;
  const look = () => {
    if (process.ppid !== Number(parent)) process.exit(exitCode.interrupted);
  };
  setInterval(look, parentMs).unref();
}
