import { openCheckpoint } from "@safedelta/checkpoint";
import { parseConfig } from "@safedelta/model";
import {
  deviceNames,
  devicesHere,
  estimateModel,
  hessianGroups,
  planParts,
  roofline,
  type Stage,
  tellOpening,
} from "@safedelta/pipeline";
import { formatBytes, formatMs, table } from "@safedelta/report";
import { defineCommand, required } from "../command.ts";
import { computeOptions, option } from "../options.ts";
import { parseModes, planLine } from "../words.ts";

/** `safedelta estimate MODEL` */
export const estimateCommand = defineCommand({
  brief: "Tell memory, disk, FLOP and time of prepare and apply before any work",
  help:
    "Reads the config and the list of tensors only. --device tells the stages on a device from its data sheet (cpu: this machine with the " +
    "native engine); nothing of it was measured there. Without it, times assume 20 GFLOP/s, what the WASM engine reaches on one core.",
  args: ["MODEL"],
  options: {
    samples: option.positive(512, { brief: "safe examples" }),
    tokens: option.positive(256, { brief: "tokens an example, on average" }),
    modes: option.words({ brief: "modes that the state shall serve [reference,optimal]", placeholder: "a,b,…" }),
    device: option.maybe(deviceNames, "tell the stages on a device"),
    offline: computeOptions.offline,
  },
  async run(options, [model], io) {
    const { availableParallelism } = await import("node:os");
    const checkpoint = await openCheckpoint(required(model, "MODEL"), {
      offline: options.offline,
      ...tellOpening(io.progress),
    });
    await using _closed = { [Symbol.asyncDispose]: () => checkpoint.close() };
    const modes = parseModes(options.modes ?? "reference,optimal");
    const config = parseConfig(checkpoint.config);
    const tokensEach = Math.min(options.tokens, config.maxPositions);
    if (tokensEach < options.tokens)
      io.progress.warn(`examples are cut at the model's ${config.maxPositions} positions, so --tokens is no more`);
    const nTokens = options.samples * tokensEach;
    const device = devicesHere(availableParallelism()).find(({ name }) => name === options.device);
    const parts = planParts(config, modes, device?.engine ?? "wasm");
    const result = estimateModel(config, checkpoint.tensors, parts, nTokens);
    const stages = device && roofline(device, config, checkpoint.tensors, nTokens, parts);
    io.document({ model, samples: options.samples, tokensEach, parts, ...result, device, stages });
    const { prepare, apply } = result;
    io.print(`prepare: ${planLine(prepare, prepare.stateBytes)}`);
    io.print(`apply:   ${planLine(apply, apply.outputBytes)}`);
    const hessians = hessianGroups(parts).join(", ");
    if (hessians) io.print(`optimal: by Cholesky in ${hessians}, too wide for an eigendecomposition`);
    if (stages) io.print(`\non ${device.name}, ${device.basis}:\n${stageTable(stages)}`);
    return undefined;
  },
});

function stageTable(stages: readonly Stage[]): string {
  const rows = stages.map(({ job, stage, flop, bytes, seconds }) => [
    job,
    stage,
    flop === 0 ? "" : `${(flop / 1e12).toPrecision(3)} TFLOP`,
    bytes === 0 ? "" : formatBytes(bytes),
    formatMs(1000 * seconds),
  ]);
  return table(["job", "stage", "work", "moved", "at least"], rows);
}
