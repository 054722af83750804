import type { Scene, SceneModel } from "../scene.ts";
import { repairedName } from "../worker/messages.ts";
import type { ChatEngine, Message } from "./chat/chatEngine.ts";
import { pageEngine } from "./chat/pageEngine.ts";
import { serverEngine } from "./chat/serverEngine.ts";
import { webLlmEngine } from "./chat/webLlmEngine.ts";
import { pageModels } from "./pageModels.ts";
import { PageWorker } from "./pageWorker.ts";
import { type Answer, type Exchange, firstState, keep, recall, type State, settled, type Where } from "./state.ts";
import { stopOf } from "./stored.ts";
import { shareOf, sweptShares, toStop } from "./strength.ts";

/** What the page does, and what is seen of it. */
export class Controller {
  private listeners = new Set<() => void>();
  private now: State = firstState;
  private readonly worker = new PageWorker((text, done, all) => this.set({ work: { text, done, all } }));
  private webLlm: ChatEngine | undefined;
  private asking = new AbortController();
  /** What is asked anew because its dial was moved, by model. */
  private readonly asksAgain = new Map<string, AbortController>();
  /** Models whose dial was moved while all were asked. */
  private readonly moved = new Set<string>();
  private isRepairing = false;

  get state(): State {
    return this.now;
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private set(change: Partial<State>): void {
    this.now = { ...this.now, ...change };
    for (const listener of this.listeners) listener();
    if (this.now.scene) keep(this.now.scene, this.now);
  }

  /** Learn what there is to show, then open it. */
  async start(): Promise<void> {
    try {
      const scene: Scene = await (await fetch("/api/scene")).json();
      const kept = recall(scene);
      const { strength = firstState.strength, exchanges = [] } = kept;
      this.set({ scene, ...kept, strength: toStop(strength), exchanges: settled(exchanges) });
      this.webLlm = webLlmEngine((model, text) => this.setLoading(model, text));
      if (scene.watches) this.watch();
      await this.openPage(scene);
    } catch (error) {
      this.set({ failure: (error as Error).message });
    }
  }

  /** Open in the page what fits it. */
  private async openPage({ models, repair }: Scene): Promise<void> {
    const { names, hasPair, left } = pageModels(models);
    if (names.length === 0)
      return this.set({ pageFailure: left ?? "No model here is one that this page runs itself.", where: "server" });
    this.set({ pageFailure: left });
    try {
      this.set({ pageEngine: await this.worker.open(names), inPage: names, work: undefined });
      if (repair && hasPair) await this.prepare(models);
    } catch (error) {
      this.set({ pageFailure: (error as Error).message, inPage: [], where: "server", work: undefined });
    }
  }

  private async prepare(models: readonly SceneModel[]): Promise<void> {
    const [aligned, tuned] = ["aligned", "tuned"].map((role) => models.find((model) => model.role === role));
    if (!aligned || !tuned) return;
    this.set({ repair: "preparing" });
    try {
      const sweep = await this.worker.prepare(aligned.name, tuned.name, sweptShares);
      this.set({ sweep, work: undefined });
      await this.repairNow();
      this.set({ repair: "ready" });
    } catch (error) {
      return this.set({ repair: "failed", repairFailure: (error as Error).message, work: undefined });
    }
    const [last] = this.now.exchanges;
    if (last && !this.now.isAsking && !(repairedName in last.answers)) await this.askAgain(repairedName);
  }

  private watch(): void {
    const events = new EventSource("/api/progress");
    events.onmessage = ({ data }) => this.set({ watched: JSON.parse(data) });
  }

  private setLoading(model: string, text: string): void {
    const spoken = this.now.loading[model] === undefined ? { spoken: `Loading ${model}.` } : {};
    this.set({ loading: { ...this.now.loading, [model]: text }, ...spoken });
  }

  /** Models in the order of the story: before, repaired, after, others. */
  get columns(): string[] {
    const { scene, repair } = this.now;
    const named = (role: string) => scene?.models.filter((model) => model.role === role).map(({ name }) => name) ?? [];
    const swept = scene?.sweeps.map(({ name }) => name) ?? [];
    const repaired = [...(repair === "ready" ? [repairedName] : []), ...swept];
    return [...named("aligned"), ...repaired, ...named("tuned"), ...named("other")];
  }

  setDraft(draft: string): void {
    this.set({ draft });
  }

  setWhere(where: Where): void {
    this.set({ where });
  }

  setGoesOn(goesOn: boolean): void {
    this.set({ goesOn });
  }

  /** Begin anew. */
  clear(): void {
    this.stop();
    this.stopAskingAgain();
    this.set({ exchanges: [], spoken: "All answers are cleared." });
  }

  stop(): void {
    this.asking.abort();
  }

  private stopAskingAgain(): void {
    for (const asking of this.asksAgain.values()) asking.abort();
  }

  /** Move the slider: the repaired model follows, and then answers the last prompt again. */
  async setStrength(strength: number): Promise<void> {
    this.set({ strength: toStop(strength) });
    if (this.isRepairing || this.now.repair !== "ready") return;
    this.isRepairing = true;
    this.asksAgain.get(repairedName)?.abort();
    try {
      await this.repairNow();
    } catch (error) {
      return this.set({ repair: "failed", repairFailure: (error as Error).message });
    } finally {
      this.isRepairing = false;
    }
    await this.askAgain(repairedName);
  }

  /** Move the dial of a stored sweep: the model of that stop answers the last prompt. */
  async setStop(sweep: string, stop: number): Promise<void> {
    this.set({ stops: { ...this.now.stops, [sweep]: stop } });
    await this.askAgain(sweep);
  }

  /** Repair for where the slider stands, until it stands still. */
  private async repairNow(): Promise<void> {
    for (let done = Number.NaN; done !== this.now.strength; ) {
      done = this.now.strength;
      const { linears, ms } = await this.worker.repair(shareOf(done));
      this.set({ linears, repairMs: ms });
    }
  }

  /** Ask for where the dial stands; while all are asked, as soon as they have answered. */
  private async askAgain(model: string): Promise<void> {
    const [last] = this.now.exchanges;
    if (this.now.isAsking) this.moved.add(model);
    if (!last || this.now.isAsking) return;
    this.asksAgain.get(model)?.abort();
    const asking = new AbortController();
    this.asksAgain.set(model, asking);
    await this.answer(last, model, asking.signal);
    const said = this.now.exchanges[0]?.answers[model];
    if (!asking.signal.aborted && said?.state === "done")
      this.set({ spoken: `At ${said.setting} the repaired model answers: ${said.text}` });
  }

  /** Ask all models at once, and those that come meanwhile. */
  async ask(prompt = this.now.draft.trim()): Promise<void> {
    if (prompt === "" || this.now.isAsking || this.columns.length === 0) return;
    this.stopAskingAgain();
    this.moved.clear();
    this.asking = new AbortController();
    const exchange: Exchange = { id: crypto.randomUUID(), prompt, answers: {} };
    this.set({ draft: prompt, isAsking: true, exchanges: [exchange, ...this.now.exchanges], spoken: "Asking." });
    const asked = new Set<string>();
    const open = () => this.columns.filter((model) => !asked.has(model) && !this.asking.signal.aborted);
    for (let models = open(); models.length > 0; models = open()) {
      for (const model of models) asked.add(model);
      await Promise.all(models.map((model) => this.answer(exchange, model, this.asking.signal)));
    }
    this.set({ isAsking: false, spoken: this.ending(exchange.id) });
    if (!this.asking.signal.aborted) await Promise.all([...this.moved].map((model) => this.askAgain(model)));
  }

  private ending(id: string): string {
    const answers = Object.entries(this.now.exchanges.find((exchange) => exchange.id === id)?.answers ?? {});
    const failed = answers.filter(([, { state }]) => state === "failed").map(([model]) => model);
    if (this.asking.signal.aborted) return "Stopped.";
    return failed.length === 0 ? "The answers are complete." : `The answers are complete; ${failed.join(", ")} failed.`;
  }

  /** Where the dial of a model stands; undefined where it has none. */
  private settingOf(model: string): string | undefined {
    return model === repairedName ? `strength ${this.now.strength}` : stopOf(model, this.now)?.setting;
  }

  private async answer(exchange: Exchange, model: string, signal: AbortSignal): Promise<void> {
    const setting = this.settingOf(model);
    const tell = (answer: Answer) => {
      if (this.asksAgain.get(model)?.signal === signal || signal === this.asking.signal)
        this.setAnswer(exchange.id, model, { ...answer, setting });
    };
    let text = "";
    tell({ text, state: "waiting" });
    const messages = this.messagesFor(exchange, model);
    try {
      const maxNewTokens = this.now.scene?.maxNewTokens ?? 0;
      const asked = stopOf(model, this.now)?.model ?? model;
      const question = { model: asked, messages, maxNewTokens };
      for await (const piece of this.engineOf(model).stream(question, signal)) {
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
    this.set({ exchanges });
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

  private engineOf(model: string): ChatEngine {
    const shown = this.now.scene?.models.find(({ name }) => name === model);
    if (shown?.kind === "mlc" && this.webLlm) return this.webLlm;
    const isInPage = this.now.where === "page" && this.now.inPage.includes(model);
    return isInPage || model === repairedName ? pageEngine(this.worker.client) : serverEngine;
  }
}

/** What may have filled the model's room beside the prompt itself. */
function conversationHint(messages: readonly Message[]): string {
  if (messages.length === 1) return "";
  return " The conversation so far counts, too: Clear begins anew, and without its tick only the prompt is sent.";
}
