import { openCheckpoint } from "@safedelta/checkpoint";
import { parseConfig } from "@safedelta/model";
import { estimateModel, tellOpening } from "@safedelta/pipeline";
import { defineCommand, required } from "../command.ts";
import { computeOptions, option } from "../options.ts";
import { parseModes, planLine } from "../words.ts";

/** `safedelta estimate MODEL` */
export const estimateCommand = defineCommand({
  brief: "Tell memory, disk, FLOP and time of prepare and apply before any work",
  help: "Reads the config and the list of tensors only. Times assume 20 GFLOP/s, what the WASM engine reaches on one core.",
  args: ["MODEL"],
  options: {
    samples: option.positive(512, { brief: "safe examples" }),
    tokens: option.count(256, { brief: "tokens an example, on average" }),
    modes: option.text({ brief: "modes that the state shall serve [reference,optimal]", placeholder: "a,b,…" }),
    offline: computeOptions.offline,
  },
  async run(options, [model], io) {
    const checkpoint = await openCheckpoint(required(model, "MODEL"), {
      offline: options.offline,
      ...tellOpening(io.progress),
    });
    const modes = parseModes(options.modes ?? "reference,optimal");
    const result = estimateModel(
      parseConfig(checkpoint.config),
      checkpoint.tensors,
      modes,
      options.samples * options.tokens,
    );
    await checkpoint.close();
    io.document({ model, samples: options.samples, tokensEach: options.tokens, ...result });
    const { prepare, apply } = result;
    io.print(`prepare: ${planLine(prepare, prepare.stateBytes)}`);
    io.print(`apply:   ${planLine(apply, apply.outputBytes)}`);
    return undefined;
  },
});
