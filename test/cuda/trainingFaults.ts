import type { Change, Kind } from "./build.ts";
import type { Device } from "./run.ts";

/** A fault planted in the sources, and a run that must not pass it. */
export interface Fault extends Change {
  readonly name: string;
  readonly order?: Device["order"];
  readonly kind?: Kind;
  /** The topic of the cases that must find it; all unless given. */
  readonly topic?: string;
  readonly devices?: number;
}

/** Faults in the operations of training. */
export const trainingFaults: readonly Fault[] = [
  {
    name: "the chosen logit is read after the gradient has taken its place",
    file: "src/training.cuh",
    from: "static_cast<double>(largest - chosen)",
    to: "static_cast<double>(largest - (chosen == chosen ? row[target] : 0))",
    order: "reverse",
    topic: "training",
  },
  {
    name: "the gradient of attention looks one key ahead",
    file: "src/training.cuh",
    from: "const long seen = cols - rows + i + 1;",
    to: "const long seen = cols - rows + i + (i + 1 < rows ? 2 : 1);",
    topic: "backward",
  },
  {
    name: "the keys that a query does not see keep the slopes of their scores",
    file: "src/training.cuh",
    from: "for (long s = t; s < cols; s += SD_THREADS) {",
    to: "for (long s = t; s < seen; s += SD_THREADS) {",
    topic: "backward",
  },
  {
    name: "a weight's gradient reads rows past the end",
    file: "src/training.cuh",
    from: "end = first + rows_each < rows ? first + rows_each : rows;",
    to: "end = first + rows_each;",
    kind: "sanitised",
    topic: "backward",
  },
  {
    name: "each query head begins its keys' gradients anew",
    file: "src/training.cpp",
    from: "const bool begun = head % sharing != 0 || first + rows < n;",
    to: "const bool begun = first + rows < n;",
    topic: "backward",
  },
  {
    name: "each block of queries begins its keys' gradients anew",
    file: "src/training.cpp",
    from: "const bool begun = head % sharing != 0 || first + rows < n;",
    to: "const bool begun = head % sharing != 0;",
    topic: "backward",
  },
  {
    name: "rows that go to the same place are added last first",
    file: "src/training.cpp",
    from: "return rows[a] < rows[b]; });",
    to: "return rows[a] != rows[b] ? rows[a] < rows[b] : a > b; });",
    topic: "training",
  },
];
