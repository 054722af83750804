import { type ChatModel, keptChat } from "@safedelta/evaluation";
import type { Io } from "../io.ts";

/** A chat model that keeps its answers in `file` (see `keptChat`) and tells how far it is, as the stage `stage`. */
export function keptTold(
  chat: ChatModel,
  file: string,
  { batch, stage }: { readonly batch: number; readonly stage: string },
  io: Pick<Io, "progress">,
): Promise<ChatModel> {
  const onAsked = (n: number) => io.progress.stage(stage, n);
  const onAnswers = (n: number) => {
    for (let i = 0; i < n; i++) io.progress.step();
  };
  return keptChat(chat, file, { batchSize: batch, onAsked, onAnswers });
}
