import type { OpenOptions } from "@safedelta/checkpoint";

/** Where a long run reports how far it is. The command line draws it; tests and libraries pass `silent`. */
export interface Progress {
  /** A new stage of `total` steps begins; the one before it is over. */
  stage(name: string, total: number): void;
  /** One step is done. */
  step(detail?: string): void;
  /** Something the user should know, once: what is said again may be left out. */
  warn(message: string): void;
}

/** Reports nothing. */
export const silent: Progress = { stage() {}, step() {}, warn() {} };

const downloadStepBytes = 2 ** 20;

/** What opening a model tells of itself, as progress: oddities as warnings, each downloaded file as a stage of one step a MiB. */
export function tellOpening(progress: Progress): Required<Pick<OpenOptions, "onWarn" | "onDownload">> {
  let [current, nDone] = ["", 0];
  const onDownload = (file: string, doneBytes: number, totalBytes: number) => {
    if (file !== current) {
      [current, nDone] = [file, 0];
      progress.stage(`downloading ${file}`, Math.ceil(totalBytes / downloadStepBytes));
    }
    const nSteps = Math.ceil(doneBytes / downloadStepBytes);
    for (; nDone < nSteps; nDone++) progress.step("MiB");
  };
  return { onWarn: (message) => progress.warn(message), onDownload };
}
