import { type Model, stopIdsOf, streamText } from "@safedelta/model";
import { openModelFiles } from "@safedelta/pipeline";
import type { Message, Tokenizer } from "@safedelta/tokenizer";
import { UsageError } from "./exitCode.ts";
import type { Io } from "./io.ts";
import { loadModel } from "./loadModel.ts";
import type { EngineOptions } from "./openTold.ts";
import { type GivenOption, ownOption } from "./recipe.ts";

/** How answers are drawn; greedy without a temperature. */
export interface AnswerOptions {
  readonly maxNewTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed: number;
}

/** @throws UsageError for options that are out of range, or without effect without another one */
export function checkAnswerOptions(
  { temperature, topK, topP }: AnswerOptions,
  given: ReadonlyMap<string, GivenOption>,
): void {
  const greedy = temperature === undefined || temperature === 0;
  const idle = ["topK", "topP", "seed"].map((name) => ownOption(given, name)).find((option) => option !== undefined);
  if (greedy && idle !== undefined) throw new UsageError(withoutTemperature(idle.where));
  if (temperature !== undefined && temperature < 0)
    throw new UsageError(`--temperature is ${temperature}; it must be 0 or more.`);
  if (topK !== undefined && !(Number.isInteger(topK) && topK >= 1))
    throw new UsageError(`--top-k is ${topK}; a whole number from 1 is needed.`);
  if (topP !== undefined && !(topP > 0 && topP <= 1))
    throw new UsageError(`--top-p is ${topP}; it must be above 0 and at most 1.`);
}

function withoutTemperature(flag: string): string {
  return `${flag}: without effect, since answers are drawn only with a --temperature above 0. Add that, or leave ${flag} out.`;
}

/** The conversation has as many tokens as the model has positions. */
export class ContextFullError extends UsageError {}

/** A model ready to talk. */
export interface Talker extends Disposable {
  readonly name: string;
  /** The answer to a conversation; `onText` hears it piece by piece. @throws ContextFullError */
  answer(messages: readonly Message[], options: AnswerOptions, onText?: (text: string) => void): Promise<string>;
  /** The continuation of a plain text, without a chat template. */
  complete(text: string, options: AnswerOptions, onText?: (text: string) => void): Promise<string>;
}

/** Load a whole model into an engine. @throws as `openModelFiles` */
export async function openTalker(
  spec: string,
  options: EngineOptions & { readonly offline: boolean },
  io: Pick<Io, "note" | "progress">,
): Promise<Talker> {
  await using files = await openModelFiles(spec, options.offline, io.progress);
  const loaded = await loadModel(files, options, io);
  const { model, tokenizer } = loaded;
  const speak = (ids: readonly number[], options: AnswerOptions, onText?: (text: string) => void) =>
    speakAloud(model, tokenizer, ids, options, onText);
  return {
    name: spec,
    async answer(messages, options, onText) {
      if (messages[0]?.role === "system" && tokenizer.ignoresSystemPrompt())
        throw new UsageError("--system: without effect, since this model's chat template shows no system message.");
      return speak(tokenizer.encodeChat(messages, { addGenerationPrompt: true }), options, onText);
    },
    complete: (text, options, onText) => speak(tokenizer.encode(text, { addSpecialTokens: true }), options, onText),
    [Symbol.dispose]: () => loaded[Symbol.dispose](),
  };
}

/** The answer as a whole; `onText` hears it piece by piece. */
async function speakAloud(
  model: Model,
  tokenizer: Tokenizer,
  ids: readonly number[],
  options: AnswerOptions,
  onText: (text: string) => void = () => {},
): Promise<string> {
  const stopIds = stopIdsOf(tokenizer, model.config);
  const { maxPositions } = model.config;
  if (ids.length >= maxPositions)
    throw new ContextFullError(
      `${ids.length} tokens leave no room for an answer: the model has ${maxPositions} positions.`,
    );
  const maxNewTokens = Math.min(options.maxNewTokens, maxPositions - ids.length);
  const decode = (some: readonly number[]) => tokenizer.decode(some, { skipSpecialTokens: true });
  let text = "";
  for await (const piece of streamText(model, { ...options, ids, maxNewTokens, stopIds }, { decode })) {
    onText(piece);
    text += piece;
  }
  return text;
}
