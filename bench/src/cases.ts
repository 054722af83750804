import type { Case } from "./case.ts";
import { borderCases } from "./cases/border.ts";
import { memoryCases } from "./cases/memory.ts";
import { modelCases } from "./cases/model.ts";
import { productCases } from "./cases/products.ts";
import { trainingCases } from "./cases/training.ts";
import { triangularCases } from "./cases/triangular.ts";

/** Every operation of the engine's contract at least once, at the sizes of layers. */
export const cases: readonly Case[] = [
  ...borderCases,
  ...memoryCases,
  ...modelCases,
  ...trainingCases,
  ...productCases,
  ...triangularCases,
];
