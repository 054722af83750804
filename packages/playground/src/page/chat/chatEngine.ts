/** One turn of a conversation. */
export interface Message {
  readonly role: "user" | "assistant";
  readonly content: string;
}

/** What a model is asked. */
export interface Question {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly maxNewTokens: number;
}

/** Something that answers: our WASM engine in this page, this computer behind the server, or web-llm on the graphics card. */
export interface ChatEngine {
  /**
   * The answer, piece by piece, greedy. Leaving early or an abort ends it.
   * @throws Error whose message is for the user
   */
  stream(question: Question, signal: AbortSignal): AsyncGenerator<string, void>;
}
