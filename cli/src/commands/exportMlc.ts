import { quantNames, webLlm } from "@safedelta/mlc";
import { type ExportMlcFacts, exportMlc, planExportMlc } from "@safedelta/pipeline";
import { formatBytes } from "@safedelta/report";
import { defineCommand, required } from "../command.ts";
import { computeOptions, option, outputOptions } from "../options.ts";
import { ownLine } from "../words.ts";

/** `safedelta export mlc MODEL --out FOLDER` */
export const exportMlcCommand = defineCommand({
  worker: "export mlc",
  brief: "Write a model as web-llm reads it, for the browser's graphics card",
  help:
    "Reads MODEL (folder, BASE+ADAPTER, file.gguf or Hub id) of the Llama, Mistral, Qwen2, Qwen3 or Gemma family. Writes weights in shards, " +
    "mlc-chat-config.json, the tokenizer, and web-llm.json: the entry for web-llm's model list. The library that computes the model is web-llm's " +
    `prebuilt one of that size where there is one; both belong to ${webLlm.npmPackage} ${webLlm.npmVersion}.`,
  args: ["MODEL"],
  options: {
    quant: option.choice(quantNames, "q4f32_1", "how weights are kept"),
    lib: option.path({
      brief: "model library: checked against the model, and put beside it",
      placeholder: "file.wasm",
    }),
    ...outputOptions,
    offline: computeOptions.offline,
  },
  async run(options, [model], io) {
    const { quant, lib: library, overwrite, offline } = options;
    const [spec, out] = [required(model, "MODEL"), required(options.out, "--out")];
    const request = { model: spec, out, quant, library, overwrite, offline };
    const facts = await (options.dryRun ? planExportMlc : exportMlc)(request, io.progress);
    io.document({ ...(options.dryRun ? { dryRun: true } : {}), model: spec, out, ...facts });
    io.print(options.dryRun ? `would write ${out}: ${sizes(facts)}\nnothing was written` : `${sizes(facts)}`);
    for (const line of remarks(facts)) io.note(line);
    if (options.dryRun) return undefined;
    io.print(`written: ${out} (entry for web-llm's model list: web-llm.json)`);
    if (facts.library !== "none") io.note(`ask it in a browser: ${ownLine(["playground", out])}`);
    return undefined;
  },
});

function sizes({ quant, nTensors, nShards, bytes, bitsPerWeight, chat }: ExportMlcFacts): string {
  const files = `${nShards} ${nShards === 1 ? "file" : "files"}`;
  return `${quant}: ${nTensors} tensors in ${files}, ${formatBytes(bytes)}, ${bitsPerWeight.toFixed(2)} bits a weight; chat template ${chat.name}`;
}

/** What is worth knowing before the model meets a browser. */
function remarks({ library, record, chat }: ExportMlcFacts): string[] {
  const told = {
    given: `library: ${record.model_lib}, as the model asks for it`,
    prebuilt: `library: ${record.model_lib}`,
    none: "library: no prebuilt one has this size and quantisation; compile one with mlc_llm compile, and give it with --lib",
  };
  const wrap = chat.systemWrap && JSON.stringify(chat.systemWrap);
  const system = wrap
    ? [`system messages: the model has no default one, so web-llm is to be given each as ${wrap}`]
    : [];
  return [told[library], ...system];
}
