import { relative } from "node:path";
import { formatMs } from "@safedelta/report";
import { defineCommand } from "../command.ts";
import { demoPicture, nextSteps } from "../demo/picture.ts";
import { runDemo } from "../demo/run.ts";
import { demoFolder } from "../demo/story.ts";
import { openTold, toldPeak } from "../openTold.ts";
import { engineOptions, option } from "../options.ts";

/** `safedelta demo` */
export const demoCommand = defineCommand({
  worker: "demo",
  brief: "Run the main job on a tiny model that lies in the repository",
  help: "Prepares, repairs in three ways, measures five models and sweeps the budgets, in well under a minute.",
  args: [],
  options: {
    out: option.outFolder("folder to write [demo-out]"),
    ...engineOptions,
  },
  async run(options, _args, io) {
    const out = options.out ?? "demo-out";
    const started = performance.now();
    using engine = await openTold(options, io);
    const result = await runDemo(engine, out, io.progress);
    const ms = performance.now() - started;
    const models = result.rows.map(({ name, guardedRefusal, newTask, oldTasks }) => ({
      name,
      guardedRefusal: guardedRefusal.rate,
      newTask: newTask.rate,
      oldTasks: oldTasks.rate,
    }));
    const document = { models, seconds: ms / 1000, intervals: result.rows, sweep: result.points };
    io.document({ ...document, peakMemoryBytes: toldPeak(io) });
    const here = relative(process.cwd(), demoFolder) || ".";
    io.print(
      `${demoPicture(result)}\n\nTook ${formatMs(ms)}.\n${nextSteps(result, `${here}/aligned`, `${here}/tuned`)}`,
    );
    return undefined;
  },
});
