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
