import { commands } from "./commands.ts";
import { toldOf } from "./exitCode.ts";
import type { Io } from "./io.ts";
import type { Job, Message } from "./runInWorker.ts";

declare const self: Worker;

const say = (message: Message) => self.postMessage(message);

/** The main thread's `Io`, spoken to by messages. */
function remoteIo({ options }: Job): Io {
  const { json, quiet, verbose, color } = options as Pick<Io, "json" | "quiet" | "verbose" | "color">;
  return {
    ...{ json, quiet, verbose, color },
    print: (text) => say({ kind: "print", text }),
    note: (text) => say({ kind: "note", text }),
    document: (value) => json && say({ kind: "document", value }),
    progress: {
      stage: (name, total) => say({ kind: "stage", name, total }),
      step: (detail) => say({ kind: "step", detail }),
      warn: (text) => say({ kind: "warn", text }),
    },
    [Symbol.dispose]() {},
  };
}

self.onmessage = async ({ data: job }: MessageEvent<Job>) => {
  const io = remoteIo(job);
  try {
    say({ kind: "done", code: await commands[job.command].run(job.options, job.args, io, job.given) });
  } catch (error) {
    say({ kind: "failed", told: toldOf(error, io.verbose) });
  }
};
