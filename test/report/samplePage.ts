import type { EvaluationInput, ExperimentReport, ReportInput, Role, TrainingReport } from "@safedelta/report";
import { sampleReport } from "./sampleReport.ts";

/** An evaluation of three prompts by one metric; the answers are called after the model. */
export function sampleEvaluation(role: Role, values: readonly number[], changes: Partial<EvaluationInput> = {}) {
  const answers = values.map((value, index) => ({
    index,
    messages: [{ role: "user", content: `question ${index}` }],
    answer: `${role} answer ${index}`,
    judgements: { exact: { value } },
  }));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const metric = { metric: "exact", kind: "rate" as const, value: mean, low: 0, high: 1, n: 3, nUnparsed: 0 };
  return {
    ...{ task: "numbers", model: `the ${role} model`, role, promptsSha256: "p1", prompts: "numbers.jsonl" },
    ...{ harmful: false, metrics: [metric], answers },
    ...changes,
  };
}

export const sampleTraining: TrainingReport = {
  toolVersion: "0.1.0",
  engine: { name: "wasm", version: "1", description: "SIMD" },
  model: { spec: "org/chat", name: "org/chat", hash: "a1" },
  data: { file: "task.jsonl", sha256: "d1", nExamples: 10, nTokens: 100, nTargets: 50 },
  outFormat: "model",
  nTrained: 1000,
  nUpdates: 3,
  recipe: { lr: 0.001 },
  command: "bun run safedelta finetune org/chat --data task.jsonl",
  log: [1, 2, 3].map((update) => ({
    ...{ update, epoch: 1, rate: 0.001, loss: 4 - update, gradientNorm: 1, nTokens: 10, nTargets: 5 },
  })),
  tensors: { "lm_head.weight": "t1" },
  files: { "config.json": "f1" },
};

const entry = (value: number) => ({ value, low: value - 0.1, high: value + 0.1 });

export const sampleExperiment: ExperimentReport = {
  title: "Which mode keeps most?",
  seeds: [0, 1],
  against: "tuned",
  best: { within: 0.02, of: "aligned" },
  paperSource: "Table 1",
  cases: [
    {
      name: "all",
      columns: [
        { name: "refusal", measures: "safety", better: "higher" },
        { name: "solved", measures: "utility", better: "higher" },
      ],
      rows: [
        { label: "tuned", method: "tuned", isBest: false, entries: { refusal: entry(0.1), solved: entry(0.9) } },
        {
          ...{ label: "optimal loss 0.1", method: "optimal", isBest: true, safetyLoss: entry(0.1) },
          entries: { refusal: { ...entry(0.8), paper: 0.75, test: { ...entry(0.7), p: 0.001 } }, solved: entry(0.7) },
        },
      ],
    },
  ],
};

/** Everything that a page can hold, each a little. */
export function samplePage(changes: Partial<ReportInput> = {}): ReportInput {
  const sums = { utilityGap: 16, deltaNorm: 3, tunedDeltaNorm: 5, keptShare: 0.1 };
  return {
    toolVersion: "0.1.0",
    repairs: [sampleReport(2), sampleReport(2, { budget: { kind: "loss", value: 0.1 } })],
    trainings: [sampleTraining],
    evaluations: [
      sampleEvaluation("aligned", [0, 0, 0]),
      sampleEvaluation("tuned", [0, 1, 0]),
      sampleEvaluation("repaired", [0, 1, 1]),
    ],
    comparisons: [
      {
        task: "numbers",
        metric: "exact",
        from: "tuned",
        to: "repaired",
        difference: 1 / 3,
        low: 0,
        high: 1,
        n: 3,
        p: 1,
      },
    ],
    sweep: [
      { mode: "optimal", budget: "--loss 0.01", safetyLossShare: 0.01, ...sums },
      { mode: "optimal", budget: "--loss 0.3", safetyLossShare: 0.3, ...sums, utilityGap: 4 },
      { mode: "reference", budget: "--scale 1", safetyLossShare: 0.002, ...sums, utilityGap: 36 },
    ],
    spectra: [0, 1].map((layer) => ({
      ...{ layer, group: "qkv", kind: "eigenvalues" as const, nValues: 24, quantiles: [0.01, 0.1, 1, 20] },
    })),
    run: {
      ms: 1500,
      peakMemoryBytes: 2 ** 28,
      stages: [{ name: "repairing", ms: 1200, peakMemoryBytes: 2 ** 27 }],
    },
    experiments: [sampleExperiment],
    nSamples: 2,
    ...changes,
  };
}
