import type { ChatEngine, Message } from "./chat/chatEngine.ts";
import { orAborted } from "./chat/orAborted.ts";
import { askableOf, settingOf } from "./columns.ts";
import type { Answer, Exchange, State } from "./state.ts";
import type { Store } from "./store.ts";
import { stopOf } from "./stored.ts";

/** Questions to the models, and their answers as they are written. */
export class Asking {
  private asking = new AbortController();
  /** What is asked anew because its dial was moved, by model. */
  private readonly asksAgain = new Map<string, AbortController>();
  /** Models whose dial was moved while all were asked. */
  private readonly moved = new Set<string>();

  /** @param engineOf what runs a model, as soon as it is open */
  constructor(
    private readonly store: Store,
    private readonly engineOf: (model: string) => Promise<ChatEngine>,
  ) {}

  private get now(): State {
    return this.store.now;
  }

  /** Ask all models at once, and those that come meanwhile. */
  async ask(prompt: string): Promise<void> {
    if (prompt === "" || this.now.isAsking || askableOf(this.now).length === 0) return;
    this.stopAgain();
    this.moved.clear();
    this.asking = new AbortController();
    const exchange: Exchange = { id: crypto.randomUUID(), prompt, answers: {} };
    const spoken = this.now.isOpening ? "Asking; models that are being loaded answer when they are there." : "Asking.";
    this.store.set({ draft: prompt, isAsking: true, exchanges: [exchange, ...this.now.exchanges], spoken });
    const asked = new Set<string>();
    const open = () => askableOf(this.now).filter((model) => !asked.has(model) && !this.asking.signal.aborted);
    for (let models = open(); models.length > 0; models = open()) {
      for (const model of models) asked.add(model);
      await Promise.all(models.map((model) => this.answer(exchange, model, this.asking.signal)));
    }
    this.store.set({ isAsking: false, spoken: this.ending(exchange.id) });
    if (!this.asking.signal.aborted) await Promise.all([...this.moved].map((model) => this.askAgain(model)));
  }

  stop(): void {
    this.asking.abort();
  }

  /** Forget all answers. */
  clear(): void {
    this.stop();
    this.stopAgain();
    this.store.set({ exchanges: [], spoken: "All answers are cleared." });
  }

  /** A model that moves to another place of its dial has nothing more to say for the last. */
  stopAgain(models: Iterable<string> = this.asksAgain.keys()): void {
    for (const model of models) this.asksAgain.get(model)?.abort();
  }

  /** Ask for where the dial stands; while all are asked, as soon as they have answered. */
  async askAgain(model: string): Promise<void> {
    const [last] = this.now.exchanges;
    if (this.now.isAsking) this.moved.add(model);
    if (!last || this.now.isAsking) return;
    this.stopAgain([model]);
    const asking = new AbortController();
    this.asksAgain.set(model, asking);
    await this.answer(last, model, asking.signal);
    const said = this.now.exchanges[0]?.answers[model];
    if (!asking.signal.aborted && said?.state === "done")
      this.store.set({ spoken: `At ${said.setting} the repaired model answers: ${said.text}` });
  }

  private ending(id: string): string {
    const answers = Object.entries(this.now.exchanges.find((exchange) => exchange.id === id)?.answers ?? {});
    const failed = answers.filter(([, { state }]) => state === "failed").map(([model]) => model);
    if (this.asking.signal.aborted) return "Stopped.";
    return failed.length === 0 ? "The answers are complete." : `The answers are complete; ${failed.join(", ")} failed.`;
  }

  private async answer(exchange: Exchange, model: string, signal: AbortSignal): Promise<void> {
    const setting = settingOf(model, this.now);
    const tell = (answer: Answer) => {
      if (this.asksAgain.get(model)?.signal === signal || signal === this.asking.signal)
        this.setAnswer(exchange.id, model, { ...answer, setting });
    };
    let text = "";
    tell({ text, state: "waiting" });
    const messages = this.messagesFor(exchange, model);
    try {
      const maxNewTokens = this.now.scene?.maxNewTokens ?? 0;
      const question = { model: stopOf(model, this.now)?.model ?? model, messages, maxNewTokens };
      const engine = await orAborted(this.engineOf(model), signal);
      for await (const piece of engine.stream(question, signal)) {
        text += piece;
        tell({ text, state: "writing" });
      }
      tell({ text, state: "done" });
    } catch (error) {
      if (signal.aborted) tell({ text, state: "stopped" });
      else tell({ text: `${(error as Error).message}${conversationHint(messages)}`, state: "failed" });
    }
  }

  private setAnswer(id: string, model: string, answer: Answer): void {
    const exchanges = this.now.exchanges.map((exchange) =>
      exchange.id === id ? { ...exchange, answers: { ...exchange.answers, [model]: answer } } : exchange,
    );
    this.store.set({ exchanges });
  }

  /** The prompt; where the conversation goes on, after the model's own turns before it. */
  private messagesFor({ id, prompt }: Exchange, model: string): Message[] {
    const at = this.now.exchanges.findIndex((exchange) => exchange.id === id);
    const before = this.now.goesOn ? this.now.exchanges.slice(at + 1).reverse() : [];
    const turns = before.flatMap(({ prompt: content, answers }): Message[] => {
      const answer = answers[model];
      if (answer?.state !== "done") return [];
      return [
        { role: "user", content },
        { role: "assistant", content: answer.text },
      ];
    });
    return [...turns, { role: "user", content: prompt }];
  }
}

/** What may have filled the model's room beside the prompt itself. */
function conversationHint(messages: readonly Message[]): string {
  if (messages.length === 1) return "";
  return " The conversation so far counts, too: Clear begins anew, and without its tick only the prompt is sent.";
}
