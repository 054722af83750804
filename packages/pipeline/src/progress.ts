/** Where a long run reports how far it is. The command line draws it; tests and libraries pass `silent`. */
export interface Progress {
  /** A new stage of `total` steps begins; the one before it is over. */
  stage(name: string, total: number): void;
  /** One step is done. */
  step(detail?: string): void;
  /** Something the user should know, once. */
  warn(message: string): void;
}

/** Reports nothing. */
export const silent: Progress = { stage() {}, step() {}, warn() {} };
