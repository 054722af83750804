import { checkAnswerOptions, openTalker } from "../chatModel.ts";
import { defineCommand, refuseIdle, required } from "../command.ts";
import { printPiece } from "../io.ts";
import { computeOptions, engineOptions, generationOptions, option } from "../options.ts";

/** `safedelta generate MODEL --prompt TEXT` */
export const generateCommand = defineCommand({
  brief: "Let a model answer one prompt",
  help: "The chat template is applied unless --raw is given. Greedy unless --temperature is given.",
  args: ["MODEL"],
  options: {
    prompt: option.text({ brief: "what to answer", placeholder: "text" }),
    system: option.text({ brief: "system prompt", placeholder: "text" }),
    raw: option.flag("continue the text as it is, without the chat template"),
    ...generationOptions,
    ...engineOptions,
    offline: computeOptions.offline,
  },
  async run(options, [model], io, given) {
    const prompt = required(options.prompt, "--prompt");
    checkAnswerOptions(options, given);
    if (options.raw) refuseIdle(given, "raw", ["system"]);
    using talker = await openTalker(required(model, "MODEL"), options, io);
    const system = options.system === undefined ? [] : [{ role: "system", content: options.system }];
    const started = performance.now();
    const onText = (text: string) => printPiece(io, text);
    const answer = options.raw
      ? await talker.complete(prompt, options, onText)
      : await talker.answer([...system, { role: "user", content: prompt }], options, onText);
    io.document({ model: talker.name, prompt, answer, ms: performance.now() - started });
    io.print("");
    return undefined;
  },
});
