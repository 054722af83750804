import { z } from "zod";

/** A number; JSON has no Infinity, so files of ours hold its name. */
const number = z.union([z.number(), z.literal(["Infinity", "-Infinity"]).transform(Number)]);
const texts = z.record(z.string(), z.string());
const recipe = z.record(z.string(), z.union([z.string(), z.number()]));
const engine = z.object({ name: z.string(), version: z.string(), description: z.string() });
const model = z.object({ spec: z.string(), name: z.string(), hash: z.string() });
const data = z.object({
  source: z.string(),
  hash: z.string(),
  nExamples: number,
  nTokens: number,
  seed: number,
  nSkipped: number.optional(),
  keyWeight: number.optional(),
});

const linear = z.object({
  name: z.string(),
  rows: number,
  cols: number,
  keptShare: number,
  safetyLoss: number,
  safetyLossShare: number,
  fullSafetyLoss: number,
  utilityGap: number,
  taskGap: number.optional(),
  deltaNorm: number,
  tunedDeltaNorm: number,
  strength: number.optional(),
  scale: number.optional(),
  keep: number.optional(),
  cosine: number.optional(),
  budget: number,
  blocks: z.array(z.object({ limit: number, spent: number })).optional(),
});

const totals = z.object({
  nLinears: number,
  nWeights: number,
  keptShare: number,
  safetyLoss: number,
  safetyLossShare: number,
  fullSafetyLoss: number,
  utilityGap: number,
  deltaNorm: number,
  tunedDeltaNorm: number,
  budget: number,
  spent: number,
});

const method = z.enum(["safe-lora", "resta", "wise-ft", "negation", "random-mask", "dare"]);

/** safedelta.json, as far as a report shows it. */
export const savedRepair = z.object({
  toolVersion: z.string(),
  command: z.string(),
  recipe,
  outFormat: z.enum(["model", "lora"]),
  mode: z.enum(["optimal", "exact", "reference", "paper", "none"]).optional(),
  budget: z.object({ kind: z.enum(["loss", "global-loss", "strength", "keep", "scale"]), value: number }).optional(),
  rival: z
    .object({ method })
    .catchall(z.union([z.string(), z.number()]))
    .optional(),
  aligned: model,
  tuned: model,
  third: model.optional(),
  state: z.object({ hash: z.string(), damping: number.optional() }).optional(),
  safeData: data,
  taskData: data.optional(),
  engine,
  rest: z.enum(["aligned", "tuned"]),
  dtype: z.string(),
  layers: z.array(z.object({ layer: z.number(), linears: z.array(linear) })),
  totals,
  licence: z.string().optional(),
  tensors: texts,
  files: texts,
});

const update = z.object({
  update: number,
  epoch: number,
  rate: number,
  loss: number,
  gradientNorm: number,
  nTokens: number,
  nTargets: number,
});

/** training.json. */
export const savedTraining = z.object({
  toolVersion: z.string(),
  engine,
  model,
  licence: z.string().optional(),
  data: z.object({
    file: z.string(),
    sha256: z.string(),
    nExamples: number,
    nTokens: number,
    nTargets: number,
    safetyMix: z.object({ file: z.string(), sha256: z.string(), nExamples: number, hasSecret: z.boolean() }).optional(),
  }),
  outFormat: z.enum(["model", "lora"]),
  nTrained: number,
  nUpdates: number,
  recipe,
  command: z.string(),
  log: z.array(update),
  tensors: texts,
  files: texts,
});

const metric = z.object({
  metric: z.string(),
  kind: z.enum(["rate", "mean"]),
  value: number.optional(),
  low: number.optional(),
  high: number.optional(),
  n: number,
  nUnparsed: number,
});

/** results_TIME.json. */
export const savedResults = z.object({
  task: z.string(),
  time: z.string(),
  samplesFile: z.string(),
  promptsSha256: z.string(),
  prompts: z.string(),
  metrics: z.array(metric),
  model: z.object({
    model: z.string(),
    sha256: z.string().optional(),
    endpoint: z.string().optional(),
  }),
  overlap: z.object({ count: number }).optional(),
});

/** A line of samples_TASK_TIME.jsonl. */
export const savedSample = z.object({
  index: number,
  messages: z.array(z.object({ role: z.string(), content: z.string() })),
  answer: z.string().optional(),
  judgements: z.record(
    z.string(),
    z.object({ value: number.optional() }).transform(({ value }) => ({ value })),
  ),
});

/** What `sweep --json` prints; budgets as the pipeline holds them. */
export const sweptPoints = z.object({
  points: z.array(
    z.object({
      mode: z.string(),
      budget: z.union([
        z.object({ kind: z.enum(["loss", "globalLoss", "keep"]), share: number }),
        z.object({ kind: z.enum(["strength", "scale"]), value: number }),
      ]),
      safetyLossShare: number,
      utilityGap: number,
      deltaNorm: number,
      tunedDeltaNorm: number,
      keptShare: number,
    }),
  ),
});

/** What `apply --json` and `finetune --json` print, as far as it tells of time and memory. */
export const toldRun = z.object({
  ms: number,
  peakMemoryBytes: number,
  stages: z.array(z.object({ name: z.string(), ms: number, peakMemoryBytes: number })).default([]),
});

const estimate = z.object({ value: number, low: number, high: number });

/** results.json of an experiment. */
export const savedExperiment = z.object({
  title: z.string(),
  seeds: z.array(number),
  missing: z.array(z.string()).optional(),
  against: z.string().optional(),
  best: z.object({ within: number, of: z.string() }).optional(),
  paperSource: z.string().optional(),
  warnings: z.array(z.string()).optional(),
  cases: z.array(
    z.object({
      name: z.string(),
      columns: z.array(
        z.object({
          name: z.string(),
          measures: z.enum(["safety", "utility", "other"]),
          better: z.enum(["higher", "lower"]),
        }),
      ),
      rows: z.array(
        z.object({
          label: z.string(),
          method: z.string(),
          isBest: z.boolean(),
          entries: z.record(
            z.string(),
            estimate.extend({ paper: number.optional(), test: estimate.extend({ p: number.optional() }).optional() }),
          ),
          safetyLoss: estimate.optional(),
        }),
      ),
    }),
  ),
});
