import { defineCommand, required } from "../command.ts";
import { openInspected } from "../inspect.ts";
import { computeOptions } from "../options.ts";

/** `safedelta inspect PATH` */
export const inspectCommand = defineCommand({
  brief: "Tell what is in a model, adapter, state or file",
  help: "PATH is a model of any spelling, a LoRA adapter folder, a prepared state, a .gguf or a .safetensors file.",
  args: ["PATH"],
  options: { offline: computeOptions.offline },
  async run(options, [path], io) {
    const { facts, text } = await openInspected(required(path, "PATH"), options.offline, io.progress);
    io.document(facts);
    io.print(text);
    return undefined;
  },
});
