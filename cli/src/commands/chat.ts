import type { Message } from "@safedelta/tokenizer";
import { openTalker } from "../chatModel.ts";
import { defineCommand, required } from "../command.ts";
import { computeOptions, generationOptions, option } from "../options.ts";

/** `safedelta chat MODEL` */
export const chatCommand = defineCommand({
  brief: "Talk with a model in the terminal",
  help: "One line is one turn; an empty line or the end of input leaves, /new begins a new conversation.",
  args: ["MODEL"],
  options: {
    system: option.text({ brief: "system prompt", placeholder: "text" }),
    ...generationOptions,
    engine: computeOptions.engine,
    offline: computeOptions.offline,
  },
  async run(options, [model], io) {
    using talker = await openTalker(required(model, "MODEL"), options.engine, options.offline, io.progress);
    const opening: Message[] = options.system === undefined ? [] : [{ role: "system", content: options.system }];
    let messages = [...opening];
    io.note(`${talker.name} is ready; an empty line leaves, /new begins anew`);
    const { createInterface } = await import("node:readline/promises");
    const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: "> " });
    lines.prompt();
    for await (const line of lines) {
      if (line.trim() === "") break;
      if (line.trim() === "/new") messages = [...opening];
      else {
        messages.push({ role: "user", content: line });
        const content = talker.answer(messages, options, io.json ? undefined : (text) => process.stdout.write(text));
        messages.push({ role: "assistant", content });
        io.print("");
      }
      lines.prompt();
    }
    lines.close();
    io.document({ model: talker.name, messages });
    return undefined;
  },
});
