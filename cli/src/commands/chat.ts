import type { Message } from "@safedelta/tokenizer";
import { ContextFullError, checkAnswerOptions, openTalker } from "../chatModel.ts";
import { defineCommand, required } from "../command.ts";
import { type Io, printPiece } from "../io.ts";
import { computeOptions, engineOptions, generationOptions, option } from "../options.ts";

/** `safedelta chat MODEL` */
export const chatCommand = defineCommand({
  brief: "Talk with a model in the terminal",
  help: "One line is one turn; an empty line or the end of input leaves, /new begins a new conversation. --json gives the last conversation as messages, those before it as earlier.",
  args: ["MODEL"],
  options: {
    system: option.text({ brief: "system prompt", placeholder: "text" }),
    ...generationOptions,
    ...engineOptions,
    offline: computeOptions.offline,
  },
  async run(options, [model], io, given) {
    checkAnswerOptions(options, given);
    using talker = await openTalker(required(model, "MODEL"), options, io);
    const opening: Message[] = options.system === undefined ? [] : [{ role: "system", content: options.system }];
    let messages = [...opening];
    const earlier: Message[][] = [];
    const onText = (text: string) => printPiece(io, text);
    io.note(`${talker.name} is ready; an empty line leaves, /new begins anew`);
    const { createInterface } = await import("node:readline/promises");
    const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: "> " });
    let open = true;
    lines.once("close", () => {
      open = false;
    });
    lines.prompt();
    for await (const line of lines) {
      if (line.trim() === "") break;
      if (line.trim() === "/new") {
        if (messages.length > opening.length) earlier.push(messages);
        messages = [...opening];
      } else {
        const turn: Message[] = [...messages, { role: "user", content: line }];
        const content = await answerOrSay(() => talker.answer(turn, options, onText), io);
        if (content !== undefined) messages = [...turn, { role: "assistant", content }];
      }
      // Input that ends without a line break closes before its last line is heard.
      if (open) lines.prompt();
    }
    lines.close();
    io.document({ model: talker.name, messages, earlier });
    return undefined;
  },
});

/** The answer; nothing when the conversation has no room for one, which the user can mend and is told. */
async function answerOrSay(answer: () => Promise<string>, io: Io): Promise<string | undefined> {
  try {
    const content = await answer();
    io.print("");
    return content;
  } catch (error) {
    if (!(error instanceof ContextFullError)) throw error;
    io.note(`${error.message} Your line was not kept; /new begins anew.`);
    return undefined;
  }
}
