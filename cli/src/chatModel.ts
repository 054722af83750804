import { type EngineChoice, openEngine } from "@safedelta/engine";
import { generate, type Model, openModel } from "@safedelta/model";
import { openModelFiles, openModelTokenizer, type Progress } from "@safedelta/pipeline";
import type { Message, Tokenizer } from "@safedelta/tokenizer";

/** How answers are drawn; greedy without a temperature. */
export interface AnswerOptions {
  readonly maxNewTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed: number;
}

/** A model ready to talk. */
export interface Talker extends Disposable {
  readonly name: string;
  /** The answer to a conversation; `onText` hears it piece by piece. */
  answer(messages: readonly Message[], options: AnswerOptions, onText?: (text: string) => void): string;
  /** The continuation of a plain text, without a chat template. */
  complete(text: string, options: AnswerOptions, onText?: (text: string) => void): string;
}

/** Load a whole model into an engine. @throws as `openModelFiles` */
export async function openTalker(
  spec: string,
  choice: EngineChoice,
  offline: boolean,
  progress: Progress,
): Promise<Talker> {
  await using files = await openModelFiles(spec, offline, progress);
  const tokenizer = await openModelTokenizer(files);
  const { engine } = await openEngine(choice);
  const model = await openModel(engine, files.checkpoint);
  const speak = (ids: readonly number[], options: AnswerOptions, onText?: (text: string) => void) =>
    stream(model, tokenizer, ids, options, onText);
  return {
    name: spec,
    answer: (messages, options, onText) =>
      speak(tokenizer.encodeChat(messages, { addGenerationPrompt: true }), options, onText),
    complete: (text, options, onText) => speak(tokenizer.encode(text, { addSpecialTokens: true }), options, onText),
    [Symbol.dispose]() {
      model[Symbol.dispose]();
      engine[Symbol.dispose]();
    },
  };
}

/** Text is handed on as soon as its last character is whole (a token may end inside one). */
function stream(
  model: Model,
  tokenizer: Tokenizer,
  ids: readonly number[],
  options: AnswerOptions,
  onText: (text: string) => void = () => {},
): string {
  const seen: number[] = [];
  let shown = 0;
  const decode = () => tokenizer.decode(seen, { skipSpecialTokens: true });
  const onToken = (_prompt: number, id: number) => {
    seen.push(id);
    const text = decode();
    if (text.endsWith("\uFFFD")) return;
    onText(text.slice(shown));
    shown = text.length;
  };
  const stopIds = [...new Set([...tokenizer.eosIds, ...model.config.eosIds])];
  const maxNewTokens = Math.max(1, Math.min(options.maxNewTokens, model.config.maxPositions - ids.length));
  const [answer] = generate(model, [ids], { ...options, maxNewTokens, stopIds, onToken });
  return tokenizer.decode(answer ?? [], { skipSpecialTokens: true });
}
