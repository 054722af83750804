/** Which models a page opens itself. */
import { expect, test } from "bun:test";
import { pageModels } from "../../packages/playground/src/page/pageModels.ts";
import type { Role, SceneModel } from "../../packages/playground/src/scene.ts";

function model(name: string, millions: number, role: Role = "other"): SceneModel {
  return { name, role, kind: "tensors", f32Bytes: 4e6 * millions, maxPositions: 64 };
}

test("what fits is opened, the pair first, and room is left for the repaired model of a pair", () => {
  const pair = [model("before", 225, "aligned"), model("after", 225, "tuned")];
  expect(pageModels(pair)).toEqual({ names: ["before", "after"], hasPair: true, left: undefined });
  expect(pageModels([model("small", 1), ...pair])).toMatchObject({ names: ["before", "after"], hasPair: true });
  expect(pageModels([model("a", 225), model("b", 225), model("c", 225)])).toMatchObject({ names: ["a", "b", "c"] });
  expect(pageModels([model("a", 225), model("b", 225), model("c", 226)])).toMatchObject({ names: ["a", "b"] });
});

test("one that is too large is told with its size and what to do, and keeps no other out", () => {
  const { names, hasPair, left } = pageModels([model("big", 360, "aligned"), model("after", 135, "tuned")]);
  expect({ names, hasPair }).toEqual({ names: ["after"], hasPair: false });
  expect(left).toBe(
    "Too large for this page, which runs models of up to 225 million weights, about three at once: big (360 million weights). " +
      "This computer answers for them. To have the browser's graphics card do it, write them with safedelta export mlc and show those folders, too.",
  );
});

test("exports and stops of stored sweeps are not the page's to open", () => {
  const exported: SceneModel = { ...model("exported", 0), kind: "mlc" };
  expect(pageModels([exported, model("sweep/1", 1, "swept")])).toEqual({ names: [], hasPair: false, left: undefined });
});
