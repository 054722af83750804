import { verifyOutput } from "@safedelta/pipeline";
import { defineCommand, required } from "../command.ts";
import { exitCode } from "../exitCode.ts";
import { computeOptions } from "../options.ts";

/** `safedelta verify OUT` */
export const verifyCommand = defineCommand({
  brief: "Check that a repaired model is still what was written",
  help: "Compares every tensor with the hashes in safedelta.json, and its numbers with the two input models where they are at hand.",
  args: ["FOLDER"],
  options: { offline: computeOptions.offline },
  async run(options, [folder], io) {
    const result = await verifyOutput(required(folder, "FOLDER"), options.offline, io.progress);
    io.document({ ok: result.problems.length === 0, ...result });
    for (const problem of result.problems) io.print(`problem: ${problem}`);
    const inputs = result.inputsChecked
      ? `both inputs and ${result.nNorms} norms were checked`
      : `the input models were not checked (${result.inputsProblem})`;
    io.print(`${result.nTensors} tensors, ${result.problems.length} problems; ${inputs}`);
    return result.problems.length === 0 ? exitCode.done : exitCode.failure;
  },
});
