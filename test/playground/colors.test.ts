/** Colours of the page can be told from their grounds (WCAG 2.2 AA). */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { contrast } from "../support/contrast.ts";

const css = await Bun.file(join(import.meta.dir, "../../packages/playground/src/page/main.css")).text();
const roots = [...css.matchAll(/:root \{([^}]*)\}/g)].map(([, rules]) =>
  Object.fromEntries([...rules.matchAll(/--([\w-]+): (#\w+);/g)].map(([, name, color]) => [name, color])),
);

describe("colours can be read", () => {
  test("light comes first, dark second", () => expect(roots.map(({ panel }) => panel)).toEqual(["#fff", "#1a212b"]));

  for (const [i, scheme] of ["light", "dark"].entries())
    test(`${scheme}: text 4.5, curves, marks and the edges of fields 3`, () => {
      const colors = roots[i];
      for (const ground of [colors.ground, colors.panel]) {
        for (const ink of ["text", "dim", "failure"]) expect(contrast(ground, colors[ink])).toBeGreaterThanOrEqual(4.5);
        for (const ink of ["edge", "accent", "aligned", "repaired", "tuned"])
          expect(contrast(ground, colors[ink])).toBeGreaterThanOrEqual(3);
      }
      expect(contrast(colors.accent, colors["on-accent"])).toBeGreaterThanOrEqual(4.5);
    });
});
