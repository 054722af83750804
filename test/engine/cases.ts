import { attentionCases } from "./cases/attention.ts";
import { backwardCases } from "./cases/backward.ts";
import { conversionCases } from "./cases/conversions.ts";
import { eigenCases } from "./cases/eigen.ts";
import { elementwiseCases } from "./cases/elementwise.ts";
import { memoryCases } from "./cases/memory.ts";
import { misuseCases } from "./cases/misuse.ts";
import { modelCases } from "./cases/model.ts";
import { productCases } from "./cases/products.ts";
import { pytorchCases } from "./cases/pytorch.ts";
import { trainingCases } from "./cases/training.ts";
import { triangularCases } from "./cases/triangular.ts";
import { wrongCallCases } from "./cases/wrongCalls.ts";
import { wrongTrainingCallCases } from "./cases/wrongTrainingCalls.ts";
import type { Case } from "./trial.ts";

/** What every engine must do, whatever it runs on. */
export const cases: Readonly<Record<string, readonly Case[]>> = {
  memory: memoryCases,
  conversions: conversionCases,
  products: productCases,
  triangular: triangularCases,
  eigen: eigenCases,
  elementwise: elementwiseCases,
  model: modelCases,
  attention: attentionCases,
  backward: backwardCases,
  training: trainingCases,
  PyTorch: pytorchCases,
  "wrong calls": [...wrongCallCases, ...wrongTrainingCallCases],
  misuse: misuseCases,
};
