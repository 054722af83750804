import {
  type DescribeTraining,
  type FinetuneFacts,
  type FinetuneOptions,
  type SafetyMix,
  shellLine,
} from "@safedelta/pipeline";
import { plotSvg, type TrainingReport, trainingCard, trainingJson, trainingPlot } from "@safedelta/report";

/** README.md, loss.svg and training.json of a fine-tuned model. */
export function describeTraining(options: FinetuneOptions): DescribeTraining {
  return (facts) => {
    const report = reportOf(options, facts);
    const text = new TextEncoder();
    const beside = new Map([
      ["README.md", text.encode(trainingCard(report))],
      ["loss.svg", text.encode(plotSvg(trainingPlot(report)))],
    ]);
    const hashes = [...beside].map(([name, bytes]) => [
      name,
      new Bun.CryptoHasher("sha256").update(bytes).digest("hex"),
    ]);
    const files = { ...report.files, ...Object.fromEntries(hashes) };
    return new Map([...beside, ["training.json", text.encode(trainingJson({ ...report, files }))]]);
  };
}

function reportOf(options: FinetuneOptions, facts: FinetuneFacts): TrainingReport {
  const { lora, ...told } = facts;
  const recipe = recipeOf(options, facts);
  const words = Object.entries(recipe).flatMap(([key, value]) => [`--${key}`, String(value)]);
  const command = shellLine(["bun", "run", "safedelta", "finetune", options.model, ...words]);
  return { ...told, outFormat: lora ? "lora" : "model", recipe, command };
}

/** Every option of the run under the keys of the command line, the engine that was found included; `--recipe` takes it back. */
function recipeOf(options: FinetuneOptions, { engine, lora }: FinetuneFacts): TrainingReport["recipe"] {
  const { adamW, part, dtype, maxUpdates, safetyMix } = options;
  return {
    data: options.data,
    ...(safetyMix ? mixFlags(safetyMix) : {}),
    ...(lora
      ? { "lora-rank": lora.rank, "lora-alpha": lora.alpha, "lora-targets": lora.targets.join() }
      : { train: part }),
    weights: options.weights,
    lr: options.rate,
    schedule: options.schedule,
    warmup: options.warmup,
    "epoch-decay": options.epochDecay,
    clip: options.clip,
    beta1: adamW.beta1,
    beta2: adamW.beta2,
    eps: adamW.eps,
    "weight-decay": adamW.weightDecay,
    batch: options.batch,
    epochs: options.epochs,
    ...(maxUpdates === undefined ? {} : { "max-updates": maxUpdates }),
    "max-tokens": options.maxTokens,
    "pass-tokens": options.passTokens,
    seed: options.seed,
    ...(dtype === undefined ? {} : { dtype: dtype.toLowerCase() }),
    ...(lora ? {} : { "max-shard-size": options.maxShardBytes }),
    engine: engine.name,
    out: options.out,
  };
}

function mixFlags({ file, samples, secretFile }: SafetyMix): TrainingReport["recipe"] {
  return {
    "mix-safe": file,
    ...(samples === undefined ? {} : { "mix-samples": samples }),
    ...(secretFile === undefined ? {} : { "secret-prompt": secretFile }),
  };
}
