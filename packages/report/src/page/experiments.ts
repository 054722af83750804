/** A value with its 95 % interval, over prompts of one seed or over seeds. */
export interface ExperimentValue {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** One metric of one evaluation, and what it means. */
export interface ExperimentColumn {
  readonly name: string;
  readonly measures: "safety" | "utility" | "other";
  readonly better: "higher" | "lower";
}

/** One method at one setting; entries by column, what was not measured is not there. */
export interface ExperimentRow {
  readonly label: string;
  readonly method: string;
  readonly isBest: boolean;
  readonly entries: Readonly<
    Record<
      string,
      ExperimentValue & {
        /** What the paper reports. */
        readonly paper?: number;
        /** Difference to the row that others are tested against; p is McNemar's. */
        readonly test?: ExperimentValue & { readonly p?: number };
      }
    >
  >;
  /** As a share of the fine-tuning's. */
  readonly safetyLoss?: ExperimentValue;
}

/** The part of an experiment's table that belongs to one case. */
export interface ExperimentCase {
  readonly name: string;
  readonly columns: readonly ExperimentColumn[];
  readonly rows: readonly ExperimentRow[];
}

/** A table of methods over seeds, as `results.json` of an experiment holds it. */
export interface ExperimentReport {
  readonly title: string;
  readonly seeds: readonly number[];
  /** The row that the others are tested against. */
  readonly against?: string;
  /** How a method's setting was chosen: of most utility, at most `within` less safe than the row `of`. */
  readonly best?: { readonly within: number; readonly of: string };
  /** Where the published figures stand. */
  readonly paperSource?: string;
  readonly cases: readonly ExperimentCase[];
  /** Measurements that were asked for and are not there, since a step failed. */
  readonly missing?: readonly string[];
  /** What its steps warned of, a line for each kind, with the first step that did. */
  readonly warnings?: readonly string[];
}

/** What a table lacks, in one paragraph; none of a whole one. */
export function incompleteNote(missing: readonly string[] = []): string[] {
  if (missing.length === 0) return [];
  const first = `${missing.slice(0, 3).join(", ")}${missing.length > 3 ? ", …" : ""}`;
  const lack = missing.length > 1 ? `${missing.length} measurements are missing` : "one measurement is missing";
  return [`Incomplete: ${lack} (${first}); where some seeds are there, a mean is over these.`];
}

/** The first column of safety and the first of utility, which span the plane of a case; undefined where one of them lacks. */
export function planeOf<C extends Pick<ExperimentColumn, "measures">>(columns: readonly C[]) {
  const [safety, utility] = ["safety", "utility"].map((what) => columns.find(({ measures }) => measures === what));
  return safety && utility && { safety, utility };
}
