import type { RivalReport } from "./repairReport.ts";

/** How a rival is called, what it does in one clause, and the paper that says so. */
interface RivalText {
  readonly name: string;
  readonly what: string;
  readonly paper: string;
}

/** W aligned, Δ = tuned − aligned. */
export const rivalText: Readonly<Record<RivalReport["method"], RivalText>> = {
  "safe-lora": {
    name: "Safe LoRA",
    what: "where the change points least along what alignment had changed, it is projected onto that, V Vᵀ Δ/‖V‖ with V = aligned − unaligned",
    paper: "Hsu et al., Safe LoRA, NeurIPS 2024, arXiv 2405.16833",
  },
  resta: {
    name: "RESTA",
    what: "the safety vector, aligned − unaligned, times gamma was added to the fine-tuned weights",
    paper: "Bhardwaj et al., Language Models are Homer Simpson!, ACL 2024, arXiv 2402.11746",
  },
  "wise-ft": {
    name: "WiSE-FT",
    what: "the weights were interpolated between the aligned (alpha = 0) and the fine-tuned ones (alpha = 1)",
    paper: "Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022, arXiv 2109.01903",
  },
  negation: {
    name: "Task-arithmetic negation",
    what: "the change towards a model that was tuned to do harm, times the weight, was taken from the fine-tuned weights",
    paper: "Ilharco et al., Editing Models with Task Arithmetic, ICLR 2023, arXiv 2212.04089",
  },
  "random-mask": {
    name: "Random mask",
    what: "a share of the weights, drawn at random, took the fine-tuned values, the others the aligned ones",
    paper: "none: a baseline that knows nothing of safety",
  },
  dare: {
    name: "DARE",
    what: "a share of the changes, drawn at random, was dropped, and the others were divided by what is left",
    paper: "Yu et al., Language Models are Super Mario, ICML 2024, arXiv 2311.03099",
  },
};

/** `gamma 0.5`, `drop 0.3`: the dials and the seed. */
export function dialsOf({ method: _, ...dials }: RivalReport): string[] {
  return Object.entries(dials).map(([name, value]) => `${name} ${value}`);
}
