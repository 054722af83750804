import { type Progress, peakResidentBytes } from "@safedelta/pipeline";

/** How long one stage took, and the peak memory of the process at its end. */
export interface StageTime {
  readonly name: string;
  readonly ms: number;
  readonly peakMemoryBytes: number;
}

/** A progress that is handed on and timed: each stage lasts until the next one; `stages` ends the last. */
export function stageClock(progress: Progress): Progress & { stages(): StageTime[] } {
  const done: StageTime[] = [];
  let [name, started] = ["opening", performance.now()];
  const end = () => {
    const now = performance.now();
    done.push({ name, ms: now - started, peakMemoryBytes: peakResidentBytes() });
    started = now;
  };
  return {
    stage(next, total) {
      end();
      name = next;
      progress.stage(next, total);
    },
    step: (detail) => progress.step(detail),
    warn: (message) => progress.warn(message),
    stages() {
      end();
      return done;
    },
  };
}
