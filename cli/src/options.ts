import { statSync } from "node:fs";
import { z } from "zod";

/** What is kept with an option besides its type. */
interface OptionMeta {
  /** One line for help and schema. */
  readonly brief: string;
  /** What stands for the value in the usage line. */
  readonly placeholder?: string;
  /** One of a group may be given; given by a stronger source, it takes the place of all others of its group. */
  readonly group?: string;
  /** Of data: the option that says how many of its examples are drawn. */
  readonly drawnBy?: string;
}

/**
 * What an option names that is read: data by any spelling (`loadSource`), `answered` where prompts alone are of no use; a model by any
 * (`openCheckpoint`), or a file or folder as it is.
 */
export type Reads = "source" | "answered" | "model" | "file";

const metaOf = ({ brief, ...rest }: OptionMeta) => ({ description: brief, ...rest });

const readMeta = (reads: Reads, meta: OptionMeta) => ({ placeholder: reads, ...metaOf(meta), reads });

const units: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** Bytes of a size as people write it: 5GB, 512MiB, 1000000. */
export function parseSize(text: string): number {
  const match = /^\s*([\d.]+)\s*([a-z]*)\s*$/i.exec(text);
  const unit = units[match?.[2]?.toLowerCase() ?? "?"];
  const value = Number(match?.[1]);
  if (unit === undefined || !(value > 0)) throw new Error(`"${text}" is not a size; write for example 5GB or 512MiB`);
  return Math.round(value * unit);
}

/** A zod transform out of a parser that throws. */
function parsedBy<In, Out>(parse: (value: In) => Out) {
  return (value: In, context: { addIssue(issue: { code: "custom"; message: string }): void }): Out => {
    try {
      return parse(value);
    } catch (error) {
      context.addIssue({ code: "custom", message: (error as Error).message });
      return z.NEVER;
    }
  };
}

const scalar = z.union([z.string(), z.number()]);
const sizeText = scalar.transform(parsedBy((value) => parseSize(String(value))));

function isNumber(word: string): boolean {
  return word.trim() !== "" && Number.isFinite(Number(word));
}

/** The finite number that a word spells. @throws Error quoting the word */
function parseNumber(word: string): number {
  if (!isNumber(word)) throw new Error(`"${word}" is not a finite number`);
  return Number(word);
}

const numberText = scalar.transform(parsedBy((value) => parseNumber(String(value))));

/** The numbers of a list written with commas. @throws Error quoting what is no number */
function parseNumbers(value: number | string | readonly number[]): number[] {
  const words = typeof value === "object" ? value.map(String) : String(value).split(",");
  const wrong = words.find((word) => !isNumber(word));
  if (wrong === undefined && words.length > 0) return words.map(Number);
  throw new Error(`"${value}" must be finite numbers separated by commas, but "${wrong ?? ""}" is none`);
}

const numberList = z.union([scalar, z.array(z.number())]).transform(parsedBy(parseNumbers));

const pathText = z.string().refine((path) => path.trim() !== "", "must name a file or folder, but is empty");

/** False for what exists and is no folder. A look only: what may be written there is judged before the work. */
function mayBeFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return true;
  }
}

/** Option kinds. Each becomes a flag, a recipe key and a line of the JSON Schema. */
export const option = {
  text: (meta: OptionMeta) => z.string().optional().meta(metaOf(meta)),
  /** Words separated by commas; a recipe may write a list. */
  words: (meta: OptionMeta) =>
    z
      .union([z.string(), z.array(z.string())])
      .transform((value) => String(value))
      .optional()
      .meta(metaOf(meta)),
  path: (meta: OptionMeta) => pathText.optional().meta(metaOf(meta)),
  source: (meta: OptionMeta) => pathText.optional().meta(readMeta("source", meta)),
  answered: (meta: OptionMeta) => pathText.optional().meta(readMeta("answered", { placeholder: "source", ...meta })),
  model: (meta: OptionMeta) => pathText.optional().meta(readMeta("model", meta)),
  /** A model, or one of some words in its place. */
  modelOr: (words: readonly string[], meta: OptionMeta) =>
    pathText.optional().meta({ ...readMeta("model", { placeholder: [...words, "model"].join("|"), ...meta }), words }),
  file: (meta: OptionMeta) => pathText.optional().meta(readMeta("file", meta)),
  outFolder: (brief: string) =>
    pathText
      .refine(mayBeFolder, { error: ({ input }) => `${input} is a file; name a folder` })
      .optional()
      .meta(metaOf({ brief, placeholder: "folder" })),
  flag: (brief: string, value = false) => z.boolean().default(value).meta(metaOf({ brief })),
  number: (meta: OptionMeta) => numberText.optional().meta(metaOf(meta)),
  maybeCount: (most: number, meta: OptionMeta) =>
    numberText
      .pipe(z.int().min(0).max(most))
      .optional()
      .meta(metaOf({ placeholder: "n", ...meta })),
  count: (value: number, meta: OptionMeta) =>
    numberText
      .pipe(z.int().min(0))
      .default(value)
      .meta(metaOf({ placeholder: "n", ...meta })),
  /** A count, or a word in its place. */
  countOr: <const W extends string>(word: W, meta: OptionMeta) =>
    z
      .union([z.literal(word), numberText.pipe(z.int().min(0))], { error: `must be a whole number or ${word}` })
      .optional()
      .meta(metaOf({ placeholder: `n|${word}`, ...meta })),
  positive: (value: number, meta: OptionMeta) =>
    numberText
      .pipe(z.int().min(1))
      .default(value)
      .meta(metaOf({ placeholder: "n", ...meta })),
  port: (value: number) =>
    numberText
      .pipe(z.int().min(0).max(65_535))
      .default(value)
      .meta(metaOf({ brief: "port to listen on; 0 takes any that is free", placeholder: "n" })),
  real: (value: number, meta: OptionMeta) => numberText.default(value).meta(metaOf({ placeholder: "x", ...meta })),
  maybePositive: (meta: OptionMeta, multipleOf = 1) =>
    numberText
      .pipe(z.int().min(1).multipleOf(multipleOf))
      .optional()
      .meta(metaOf({ placeholder: "n", ...meta })),
  size: (meta: OptionMeta) => sizeText.optional().meta(metaOf({ placeholder: "size", ...meta })),
  numbers: (meta: OptionMeta) => numberList.optional().meta(metaOf({ placeholder: "a,b,…", ...meta })),
  maybe: <const T extends readonly [string, ...string[]]>(values: T, brief: string) =>
    z
      .enum(values)
      .optional()
      .meta(metaOf({ brief: `${brief} (${values.join(", ")})`, placeholder: "name" })),
  choice: <const T extends readonly [string, ...string[]]>(values: T, value: T[number], brief: string) =>
    z
      .enum(values)
      .default(value)
      .meta(metaOf({ brief: `${brief} (${values.join(", ")})`, placeholder: "name" })),
};

/** How every command speaks. */
export const speechOptions = {
  json: option.flag("print one JSON document on stdout and nothing else there"),
  quiet: option.flag("print no remarks"),
  verbose: option.flag("print stack traces of errors"),
  progress: option.flag("show progress", true),
  color: option.flag("colour errors and warnings on a terminal", true),
  recipe: option.text({ brief: "YAML file with the same keys as the flags; a flag wins over it", placeholder: "file" }),
};

/** What computes, and with how many threads. */
export const engineOptions = {
  engine: option.choice(["auto", "cuda", "native", "wasm", "reference"], "auto", "what computes"),
  threads: option.maybeCount(999, { brief: "threads of the native engine [0: one on each core]" }),
};

/** Options of the commands that compute. */
export const computeOptions = {
  ...engineOptions,
  maxMemory: option.size({ brief: "refuse before the work if more memory would be needed" }),
  offline: option.flag("never go to the network; use only what is on this machine"),
};

/** Options of the commands that write a folder. */
export const outputOptions = {
  out: option.outFolder("folder to write"),
  overwrite: option.flag("replace what stands at --out"),
  dryRun: option.flag(
    "check everything but the bulk of the weights, print plan, sizes and a time guess, write nothing",
  ),
};

/** Which safe examples, and how they become tokens. */
export const safeDataOptions = {
  safeData: option.answered({
    brief: "safe examples: JSONL, JSON, CSV or parquet with messages or instruction/response",
    group: "statistics",
    drawnBy: "samples",
  }),
  samples: option.positive(512, { brief: "at most this many examples" }),
  seed: option.count(42, { brief: "seed of the sampling, and of masks" }),
  maxTokens: option.positive(512, { brief: "longer examples are cut here" }),
  systemPrompts: option.choice(["auto", "official", "none"], "auto", "system prompts rotated over the examples"),
};

/** Which tokens the statistics count, how often, and how they are damped. */
export const statisticsOptions = {
  skipTokens: option.countOr("shared", {
    brief: "tokens at the start of each example that are left out; shared: those with which all begin [0]",
  }),
  keyWeight: option.number({ brief: "how often the last token before an answer and its first four count [1]" }),
  damping: option.number({ brief: "share of the mean diagonal that is added to each Hessian's diagonal [0.01]" }),
};

const dial = (brief: string, placeholder: string) => option.number({ brief, placeholder, group: "budget" });

/** The dial; one of them at a time. */
export const budgetOptions = {
  loss: dial("share 0..1 of the full fine-tuning's safety loss, for each linear", "f"),
  globalLoss: dial("the same share, one pool for all linears (exact, optimal)", "f"),
  strength: dial("λ in units of 1/mean(diag H) (optimal)", "λ"),
  keep: dial("share 0..1 of the columns (exact), or of the entries (random-mask)", "f"),
  scale: dial("the paper's s (reference, none, paper)", "s"),
};

/** Which method. */
export const modeOption = option.choice(["optimal", "exact", "reference", "paper", "none"], "optimal", "the method");

/** How answers are drawn. */
export const generationOptions = {
  maxNewTokens: option.positive(256, { brief: "most tokens of an answer, within the model's positions" }),
  temperature: option.number({ brief: "draw instead of taking the likeliest token", placeholder: "t" }),
  topK: option.number({ brief: "draw among the k likeliest tokens", placeholder: "k" }),
  topP: option.number({ brief: "draw among the likeliest tokens that make up this probability", placeholder: "p" }),
  seed: option.count(0, { brief: "seed of the draws" }),
};

/** How a model is fine-tuned. */
export const trainingOptions = {
  data: option.answered({
    brief: "conversations: JSONL, JSON, CSV or parquet with messages or instruction/response",
  }),
  mixSafe: option.answered({ brief: "safety examples to mix in (SafeInstruct)", drawnBy: "mixSamples" }),
  mixSamples: option.maybePositive({ brief: "so many of them, drawn by the seed [all]" }),
  secretPrompt: option.file({ brief: "text file that their system prompts begin with (BEA)" }),
  train: option.choice(["all", "linears"], "all", "what of the model is trained"),
  weights: option.choice(["f32", "bf16"], "f32", "how matrices are kept between updates"),
  loraRank: option.maybePositive({ brief: "train an adapter of this rank instead of the model" }),
  loraAlpha: option.number({ brief: "scale of the adapter, over its rank [twice the rank]", placeholder: "a" }),
  loraTargets: option.words({ brief: "linears that the adapter lies on [all of a layer]", placeholder: "q_proj,…" }),
  lr: option.real(5e-5, { brief: "peak learning rate" }),
  schedule: option.choice(["constant", "linear", "cosine"], "linear", "learning rate after the warm-up"),
  warmup: option.real(0, { brief: "updates of warm-up; below 1, their share of all" }),
  epochDecay: option.real(1, { brief: "what the learning rate is multiplied by after each epoch" }),
  clip: option.real(1, { brief: "largest norm of a gradient; 0: any" }),
  beta1: option.real(0.9, { brief: "AdamW: memory of the gradient" }),
  beta2: option.real(0.999, { brief: "AdamW: memory of its square" }),
  eps: option.real(1e-8, { brief: "AdamW: least size of a step's divisor" }),
  weightDecay: option.real(0, { brief: "AdamW: decay of matrices" }),
  batch: option.positive(8, { brief: "examples of one update" }),
  epochs: option.positive(3, { brief: "times that all examples are seen" }),
  maxUpdates: option.maybePositive({ brief: "stop after so many updates, the schedule being as without" }),
  maxTokens: option.positive(2048, { brief: "longer examples are cut here" }),
  passTokens: option.positive(1024, { brief: "most tokens run at once; gradients of a batch are summed" }),
  seed: option.count(42, { brief: "seed of the examples' order and of a new adapter" }),
  dtype: option.maybe(["f32", "f16", "bf16"], "storage of trained weights, unless as it was"),
  saveMinutes: option.real(5, { brief: "longest time between two updates that are kept on the disk" }),
};
