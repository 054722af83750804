/** A value over several seeds with its 95 % interval. */
export interface ExperimentValue {
  readonly task: string;
  readonly metric: string;
  readonly value: number;
  readonly low?: number;
  readonly high?: number;
  /** What the paper reports, where it does. */
  readonly published?: number;
}

/** One method at one setting. */
export interface ExperimentRow {
  readonly method: string;
  readonly setting: string;
  readonly nSeeds: number;
  readonly values: readonly ExperimentValue[];
}

/** A table of methods over seeds, as an experiment gives it. */
export interface ExperimentReport {
  readonly name: string;
  readonly question?: string;
  readonly rows: readonly ExperimentRow[];
}
