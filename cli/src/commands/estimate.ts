import { openEngine } from "@safedelta/engine";
import {
  assumedDevice,
  type Device,
  deviceNames,
  devicesHere,
  estimateModel,
  hessianGroups,
  planParts,
  roofline,
  type Stage,
} from "@safedelta/pipeline";
import { formatBytes, formatMs, table } from "@safedelta/report";
import { defineCommand, required } from "../command.ts";
import { describedModel } from "../estimate/describedModel.ts";
import { UsageError } from "../exitCode.ts";
import { computeOptions, option } from "../options.ts";
import type { GivenOption } from "../recipe.ts";
import { assumption, type Needs, parseModes, planLine, sizesLine, timed } from "../words.ts";

/** `safedelta estimate MODEL` */
export const estimateCommand = defineCommand({
  brief: "Tell memory, disk, FLOP and time of prepare and apply before any work",
  help:
    "Reads the config and the list of tensors only, of a Hub id or a folder without weights the config alone. --device tells the stages on a device from its data sheet (cpu: this machine with the " +
    "native engine); nothing of it was measured there. Without it, times are those of the engine that a run would take here.",
  args: ["MODEL"],
  options: {
    samples: option.positive(512, { brief: "safe examples" }),
    tokens: option.positive(256, { brief: "tokens an example, on average" }),
    modes: option.words({ brief: "modes that the state shall serve [reference,optimal]", placeholder: "a,b,…" }),
    device: option.maybe(deviceNames, "tell the stages on a device"),
    devices: option.positive(1, { brief: "GPUs that share the work" }),
    offline: computeOptions.offline,
  },
  async run(options, [model], io, given) {
    const { availableParallelism } = await import("node:os");
    const devices = devicesHere(availableParallelism());
    const device = devices.find(({ name }) => name === options.device);
    if (options.devices > 1 && device?.engine !== "cuda") {
      const gpus = devices.filter(({ engine }) => engine === "cuda").map(({ name }) => `--device ${name}`);
      const { where } = given.get("devices") as GivenOption;
      throw new UsageError(`${where} ${options.devices}: only GPUs share a run; name theirs by ${gpus.join(" or ")}.`);
    }
    const { config, tensors } = await describedModel(required(model, "MODEL"), options.offline, io.progress);
    const modes = parseModes(options.modes ?? "reference,optimal");
    const tokensEach = Math.min(options.tokens, config.maxPositions);
    if (tokensEach < options.tokens)
      io.progress.warn(
        `examples are cut at the model's ${config.maxPositions} positions: ${tokensEach} tokens each instead of ${options.tokens}`,
      );
    const nTokens = options.samples * tokensEach;
    const assumed = device ?? (await deviceOfRun());
    const parts = planParts(config, modes, assumed.engine);
    const result = estimateModel(config, tensors, parts, nTokens);
    const stages = device && roofline(device, config, tensors, nTokens, parts, options.devices);
    const told = {
      prepare: timeOf("prepare", result.prepare, result.prepare.stateBytes, assumed, stages),
      apply: timeOf("apply", result.apply, result.apply.outputBytes, assumed, stages),
    };
    const prepare = { ...result.prepare, seconds: told.prepare.seconds };
    const apply = { ...result.apply, seconds: told.apply.seconds };
    const plans = { parts, prepare, apply, assumed: assumption(assumed) };
    io.document({ model, samples: options.samples, tokensEach, ...plans, device, devices: options.devices, stages });
    io.print(`${options.samples} safe examples of ${tokensEach} tokens, a state for ${modes.join(" and ")}`);
    io.print(`prepare: ${told.prepare.line}`);
    io.print(`apply:   ${told.apply.line}`);
    const hessians = hessianGroups(parts).join(", ");
    if (hessians) io.print(`optimal: by Cholesky in ${hessians}, too wide for an eigendecomposition`);
    const several = options.devices > 1 ? `${options.devices} of ` : "";
    if (stages) io.print(`\non ${several}${device.name}, ${device.basis}:\n${stageTable(stages)}`);
    return undefined;
  },
});

/** What a run here would compute on. */
async function deviceOfRun(): Promise<Device> {
  const { engine } = await openEngine();
  using opened = engine;
  return assumedDevice(opened.info);
}

/**
 * How long a job takes, and its line. Reading, computing and writing overlap where the engine lets them, so where its stages are known it
 * takes from the longest of them to the sum of all, which counts.
 */
function timeOf(
  job: Stage["job"],
  needs: Needs,
  keptBytes: number,
  assumed: Device,
  stages: readonly Stage[] | undefined,
): { readonly seconds: number; readonly line: string } {
  if (stages === undefined)
    return { seconds: timed(needs, assumed).seconds, line: planLine(needs, keptBytes, assumed) };
  const each = stages.filter((stage) => stage.job === job).map(({ seconds }) => seconds);
  const seconds = each.reduce((sum, one) => sum + one, 0);
  const span = `${formatMs(1000 * Math.max(...each))} to ${formatMs(1000 * seconds)}`;
  return { seconds, line: `${sizesLine(needs, keptBytes)}, ${span}` };
}

function stageTable(stages: readonly Stage[]): string {
  const rows = stages.map(({ job, stage, flop, bytes, seconds }) => [
    job,
    stage,
    flop === 0 ? "" : `${(flop / 1e12).toPrecision(3)} TFLOP`,
    bytes === 0 ? "" : formatBytes(bytes),
    formatMs(1000 * seconds),
  ]);
  return table(["job", "stage", "work", "moved", "at least"], rows, {
    align: ["left", "left", "right", "right", "right"],
  });
}
