import { createHash } from "node:crypto";
import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Message } from "@safedelta/data";
import { type AnswerOptions, askAll, type ChatModel } from "./chat.ts";

/** What a kept chat is given. */
export interface KeptOptions {
  /** Answers that are asked for, and kept, together. */
  readonly batchSize: number;
  /** Told how many answers are asked for at once. */
  readonly onAsked?: (n: number) => void;
  /** Told with each batch how many prompts have their answer. */
  readonly onAnswers?: (n: number) => void;
}

/** A line of the file. */
interface Kept {
  readonly prompt: string;
  readonly answer: string;
}

/**
 * A chat model whose answers are kept in `file` batch by batch, so that a killed run loses one batch and the same call goes on; a
 * prompt that was answered is not asked again. The file must belong to this model alone; a torn last line is dropped.
 */
export async function keptChat(chat: ChatModel, file: string, options: KeptOptions): Promise<ChatModel> {
  await mkdir(dirname(file), { recursive: true });
  const lines = await readKept(file);
  await writeFile(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const known = new Map(lines.map(({ prompt, answer }) => [prompt, answer]));
  return {
    name: chat.name,
    async answer(prompts, asked) {
      const keys = prompts.map((messages) => keyOf(messages, asked));
      const open = [...new Set(keys)].filter((key) => !known.has(key));
      options.onAsked?.(keys.length);
      options.onAnswers?.(keys.filter((key) => known.has(key)).length);
      for (let at = 0; at < open.length; at += options.batchSize) {
        const batch = open.slice(at, at + options.batchSize);
        const answers = await askAll(
          chat,
          batch.map((key) => prompts[keys.indexOf(key)]),
          asked,
        );
        const found = batch.map((prompt, i): Kept => ({ prompt, answer: answers[i] }));
        await appendFile(file, found.map((line) => `${JSON.stringify(line)}\n`).join(""));
        for (const { prompt, answer } of found) known.set(prompt, answer);
        options.onAnswers?.(keys.filter((key) => batch.includes(key)).length);
      }
      return keys.map((key) => known.get(key) as string);
    },
  };
}

function keyOf(messages: readonly Message[], asked: AnswerOptions): string {
  return createHash("sha256")
    .update(JSON.stringify([asked, messages]))
    .digest("hex");
}

async function readKept(file: string): Promise<Kept[]> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  const lines = whole.split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as Kept);
}
