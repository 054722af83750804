/** What one update of a training did. */
export interface TrainingUpdate {
  /** From 1. */
  readonly update: number;
  readonly epoch: number;
  /** Learning rate. */
  readonly rate: number;
  /** Mean cross entropy of the tokens that count, in nats. */
  readonly loss: number;
  /** Before clipping. */
  readonly gradientNorm: number;
  readonly nTokens: number;
  readonly nTargets: number;
}

/** Everything about a fine-tuning, for its card, its plot and training.json: plain data, no times, no places. */
export interface TrainingReport {
  readonly toolVersion: string;
  readonly engine: { readonly name: string; readonly version: string; readonly description: string };
  readonly model: { readonly spec: string; readonly name: string; readonly hash: string };
  readonly licence?: string;
  readonly data: {
    readonly file: string;
    readonly sha256: string;
    readonly nExamples: number;
    readonly nTokens: number;
    readonly nTargets: number;
    /** Safety examples among them; whether their system prompts begin with a secret, which is told nowhere. */
    readonly safetyMix?: {
      readonly file: string;
      readonly sha256: string;
      readonly nExamples: number;
      readonly hasSecret: boolean;
    };
  };
  /** An adapter, or all of the model. */
  readonly outFormat: "model" | "lora";
  readonly nTrained: number;
  readonly nUpdates: number;
  /** Options under the keys of the command line. */
  readonly recipe: Readonly<Record<string, string | number>>;
  readonly command: string;
  readonly log: readonly TrainingUpdate[];
  /** sha256 of each written tensor and of each file beside the weights. */
  readonly tensors: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, string>>;
}

/** Version of the layout of training.json; it grows when a field changes its meaning or goes. */
const trainingSchemaVersion = 1;

/** training.json: `schemaVersion` first, then the report with its keys in order at every level, so that the same report gives the same bytes. */
export function trainingJson(report: TrainingReport): string {
  return `${JSON.stringify({ schemaVersion: trainingSchemaVersion, ...report }, inOrder, 2)}\n`;
}

function inOrder(key: string, value: unknown): unknown {
  if (key === "" || value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
