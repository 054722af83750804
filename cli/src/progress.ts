import type { Progress } from "@safedelta/pipeline";
import { visible } from "@safedelta/report";

/** A line every so often where there is no terminal to draw on. */
const plainIntervalMs = 5000;

/** How the progress of a run is drawn on stderr. */
export interface ProgressOptions {
  readonly shown: boolean;
  readonly terminal: boolean;
  /** What stands before a warning. */
  readonly warning: string;
  /** Writes text to stderr as it is. */
  note(text: string): void;
}

/** Progress that is drawn; disposing ends the drawing, also of a stage that an error has cut short. */
export type DrawnProgress = Progress & Disposable;

/** A bar on a terminal, a line every few seconds elsewhere; warnings are always printed. */
export async function terminalProgress({ shown, terminal, warning, note }: ProgressOptions): Promise<DrawnProgress> {
  const said = new Set<string>();
  const warn = (message: string) => {
    if (!said.has(message)) note(`${warning} ${visible(message)}\n`);
    said.add(message);
  };
  if (!shown) return { stage() {}, step() {}, warn, [Symbol.dispose]() {} };
  return terminal ? barProgress(warn) : lineProgress(note, warn);
}

/** What gives a terminal back its cursor and line wrap, which a bar takes away; empty where there is no terminal. */
export function resetTerminal(): string {
  return process.stderr.isTTY ? "\u001b[?25h\u001b[?7h" : "";
}

async function barProgress(warn: Progress["warn"]): Promise<DrawnProgress> {
  const { Presets, SingleBar } = await import("cli-progress");
  const bar = new SingleBar(
    {
      format: "{bar} {percentage}% {stage} {detail} ({duration_formatted}, {eta_formatted} left)",
      clearOnComplete: true,
    },
    Presets.shades_classic,
  );
  return {
    stage(stage, total) {
      bar.stop();
      if (total > 0) bar.start(total, 0, { stage, detail: "" });
    },
    step(detail = "") {
      bar.increment(1, { detail: visible(detail) });
      if (bar.getProgress() >= 1) bar.stop();
    },
    warn,
    // The bar redraws itself by a timer, which would keep the process alive for ever.
    [Symbol.dispose]: () => bar.stop(),
  };
}

function lineProgress(note: (text: string) => void, warn: Progress["warn"]): DrawnProgress {
  let [name, done, total, last] = ["", 0, 0, 0];
  return {
    stage(stage, steps) {
      [name, done, total, last] = [stage, 0, steps, Date.now()];
    },
    step(detail = "") {
      done += 1;
      if (Date.now() - last < plainIntervalMs) return;
      last = Date.now();
      note(visible(`${name}: ${done}/${total} ${detail}\n`));
    },
    warn,
    [Symbol.dispose]() {},
  };
}
