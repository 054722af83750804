/** What the page's state says. */
import { expect, test } from "bun:test";
import { firstState, isWorking } from "../../packages/playground/src/page/state.ts";

test("a repair is told of while it is prepared, and while a slow one follows the dial", () => {
  const ready = { ...firstState, repair: "ready", repairMs: 20 } as const;
  expect(isWorking({ ...firstState, repair: "preparing" })).toBe(true);
  expect(isWorking(ready)).toBe(false);
  expect(isWorking({ ...ready, isRepairing: true })).toBe(false);
  expect(isWorking({ ...ready, isRepairing: true, repairMs: 8000 })).toBe(true);
  expect(isWorking({ ...ready, repairMs: 8000 })).toBe(false);
});
