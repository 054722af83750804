import type { EngineInfo } from "@safedelta/engine";
import {
  assumedDevice,
  openState,
  type PrepareOptions,
  type PreparePlan,
  peakResidentBytes,
  planPrepare,
  prepare,
} from "@safedelta/pipeline";
import { formatBytes, formatMs } from "@safedelta/report";
import type { z } from "zod";
import { defineCommand, required } from "../command.ts";
import type { Io } from "../io.ts";
import { openTold } from "../openTold.ts";
import { computeOptions, option, outputOptions, safeDataOptions, statisticsOptions } from "../options.ts";
import {
  assumption,
  dataLine,
  defaultModes,
  describeSafe,
  fewerThanAsked,
  ownLine,
  parseModes,
  planLine,
  timed,
} from "../words.ts";

const flags = {
  ...computeOptions,
  ...outputOptions,
  ...safeDataOptions,
  ...statisticsOptions,
  modes: option.words({ brief: "modes that the state shall serve [reference,optimal]", placeholder: "a,b,…" }),
};

type Flags = z.output<z.ZodObject<typeof flags>>;

/** `safedelta prepare MODEL --safe-data FILE --out STATE` */
export const prepareCommand = defineCommand({
  worker: "prepare",
  brief: "Collect and factor the safe statistics of an aligned model, once",
  help:
    "Reads the aligned MODEL (folder, BASE+ADAPTER, file.gguf or Hub id) and safe examples; writes a state folder that serves every " +
    "model fine-tuned from it. An interrupted run goes on when the same command is given again.",
  args: ["MODEL"],
  options: flags,
  async check(options, [model]) {
    requestOf(options, model);
  },
  async run(options, [model], io, given) {
    const request = requestOf(options, model);
    using engine = await openTold(options, io);
    const plan = await planPrepare(engine, request, io.progress, options.dryRun);
    const { estimate, safeData } = plan;
    const fewer = fewerThanAsked(safeData.file, safeData.nAvailable, "--samples", options.samples);
    if (fewer && given.has("samples")) io.progress.warn(fewer);
    io.note(`${dataLine(safeData)}\nstate: ${planLine(estimate, estimate.stateBytes, assumedDevice(engine.info))}`);
    if (options.dryRun) return printPlan(io, plan, engine.info, request.out);
    const started = performance.now();
    const state = await prepare(engine, request, io.progress);
    const { sha256 } = await openState(state.folder);
    const facts = { state: state.folder, sha256, safeData: state.manifest.safeData, parts: state.manifest.parts };
    const timing = { ms: performance.now() - started, peakMemoryBytes: peakResidentBytes() };
    io.document({ ...facts, wasThere: state.wasThere, ...timing });
    io.print(
      state.wasThere
        ? `a whole state of this is there already and was checked in ${formatMs(timing.ms)}: ${state.folder}`
        : `prepared ${request.model} in ${formatMs(timing.ms)}, peak memory ${formatBytes(timing.peakMemoryBytes)}: ${state.folder}`,
    );
    const mode = request.modes.includes("optimal") ? [] : ["--mode", request.modes[0]];
    const next = [
      "--aligned",
      request.model,
      "--tuned",
      "TUNED",
      "--state",
      state.folder,
      ...mode,
      "--out",
      "REPAIRED",
    ];
    io.print(`next: ${ownLine(["apply", ...next])}`);
    return undefined;
  },
});

/** What the flags ask for. @throws UsageError for what is missing, and modes that are none */
function requestOf(options: Flags, model: string | undefined): PrepareOptions {
  const { safeData: data, damping } = describeSafe(required(options.safeData, "--safe-data"), options);
  return {
    model: required(model, "MODEL"),
    data,
    damping,
    out: required(options.out, "--out"),
    modes: parseModes(options.modes ?? defaultModes),
    offline: options.offline,
    overwrite: options.overwrite,
    maxMemoryBytes: options.maxMemory,
  };
}

function printPlan(io: Io, plan: PreparePlan, engine: EngineInfo, out: string): undefined {
  const assumed = assumedDevice(engine);
  const estimate = timed(plan.estimate, assumed);
  io.document({ dryRun: true, out, engine: engine.name, ...plan, estimate, assumed: assumption(assumed) });
  if (plan.wasThere) io.print(`a whole state of this is there already and was checked: ${out}`);
  else io.print(`would write ${out}: ${planLine(estimate, estimate.stateBytes, assumed)}`);
  io.print("nothing was written");
}
