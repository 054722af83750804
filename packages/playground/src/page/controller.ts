import type { Scene, SceneModel } from "../scene.ts";
import { repairedName } from "../worker/messages.ts";
import { Asking } from "./asking.ts";
import type { ChatEngine } from "./chat/chatEngine.ts";
import { pageEngine } from "./chat/pageEngine.ts";
import { serverEngine } from "./chat/serverEngine.ts";
import { webLlmEngine } from "./chat/webLlmEngine.ts";
import { isInPage } from "./columns.ts";
import { type PageModels, pageModels } from "./pageModels.ts";
import { PageWorker } from "./pageWorker.ts";
import { firstState, recall, type State, settled, type Where } from "./state.ts";
import { Store } from "./store.ts";
import { shareOf, sweptShares, toStop } from "./strength.ts";

/** What the page does. */
export class Controller {
  readonly store = new Store();
  private readonly asking = new Asking(this.store, (model) => this.engineOf(model));
  private readonly worker = new PageWorker((text, done, all) => this.store.set({ work: { text, done, all } }));
  private readonly webLlm = webLlmEngine((model, text) => this.setLoading(model, text));
  /** Settles when the page has opened its models, or could not. */
  private readonly opened = Promise.withResolvers<void>();

  private get now(): State {
    return this.store.now;
  }

  /** Learn what there is to show, then open it. */
  async start(): Promise<void> {
    try {
      const scene: Scene = await (await fetch("/api/scene")).json();
      const kept = recall(scene);
      const { strength = firstState.strength, exchanges = [] } = kept;
      const found = pageModels(scene.models);
      const repair = scene.repair && found.hasPair ? "preparing" : "none";
      const page = { inPage: found.names, isOpening: found.names.length > 0, pageFailure: found.left, repair } as const;
      this.store.set({ scene, ...kept, ...page, strength: toStop(strength), exchanges: settled(exchanges) });
      if (scene.watches) this.watch();
      await this.openPage(found);
      this.opened.resolve();
      if (this.now.repair === "preparing") await this.prepare(scene.models);
    } catch (error) {
      this.store.set({ failure: (error as Error).message });
    }
  }

  /** Open in the page what fits it. */
  private async openPage({ names, left }: PageModels): Promise<void> {
    if (names.length === 0)
      return this.store.set({
        pageFailure: left ?? "No model here is one that this page runs itself.",
        where: "server",
      });
    try {
      this.store.set({ pageEngine: await this.worker.open(names), isOpening: false, work: undefined });
    } catch (error) {
      const failed = { inPage: [], isOpening: false, where: "server", repair: "none", work: undefined } as const;
      this.store.set({ pageFailure: (error as Error).message, ...failed });
    }
  }

  private async prepare(models: readonly SceneModel[]): Promise<void> {
    const [aligned, tuned] = ["aligned", "tuned"].map((role) => models.find((model) => model.role === role));
    if (!aligned || !tuned) return;
    try {
      const sweep = await this.worker.prepare(aligned.name, tuned.name, sweptShares);
      this.store.set({ sweep, work: undefined });
      await this.repairNow();
      this.store.set({ repair: "ready" });
    } catch (error) {
      return this.store.set({ repair: "failed", repairFailure: (error as Error).message, work: undefined });
    }
    const [last] = this.now.exchanges;
    if (!last) this.store.set({ spoken: "The repair is prepared." });
    else if (!this.now.isAsking && !(repairedName in last.answers)) await this.asking.askAgain(repairedName);
  }

  private watch(): void {
    const events = new EventSource("/api/progress");
    events.onmessage = ({ data }) => this.store.set({ watched: JSON.parse(data) });
  }

  private setLoading(model: string, text: string): void {
    const spoken = this.now.loading[model] === undefined ? { spoken: `Loading ${model}.` } : {};
    this.store.set({ loading: { ...this.now.loading, [model]: text }, ...spoken });
  }

  setDraft(draft: string): void {
    this.store.set({ draft });
  }

  setWhere(where: Where): void {
    this.store.set({ where });
  }

  setGoesOn(goesOn: boolean): void {
    this.store.set({ goesOn });
  }

  ask(prompt = this.now.draft.trim()): Promise<void> {
    return this.asking.ask(prompt);
  }

  stop(): void {
    this.asking.stop();
  }

  clear(): void {
    this.asking.clear();
  }

  /** Move the slider: the repaired model follows, and then answers the last prompt again. */
  async setStrength(strength: number): Promise<void> {
    this.store.set({ strength: toStop(strength) });
    if (this.now.isRepairing || this.now.repair !== "ready") return;
    this.store.set({ isRepairing: true });
    this.asking.stopAgain([repairedName]);
    try {
      await this.repairNow();
    } catch (error) {
      return this.store.set({ repair: "failed", repairFailure: (error as Error).message });
    } finally {
      this.store.set({ isRepairing: false });
    }
    await this.asking.askAgain(repairedName);
  }

  /** Move the dial of a stored sweep: the model of that stop answers the last prompt. */
  async setStop(sweep: string, stop: number): Promise<void> {
    this.store.set({ stops: { ...this.now.stops, [sweep]: stop } });
    await this.asking.askAgain(sweep);
  }

  /** Repair for where the slider stands, until it stands still. */
  private async repairNow(): Promise<void> {
    for (let done = Number.NaN; done !== this.now.strength; ) {
      done = this.now.strength;
      const { linears, ms } = await this.worker.repair(shareOf(done));
      this.store.set({ linears, repairMs: ms });
    }
  }

  /** What runs a model; where that is this page, as soon as it is open. */
  private async engineOf(model: string): Promise<ChatEngine> {
    const scene = this.now.scene as Scene; // nothing is asked before it is there
    const shown = scene.models.find(({ name }) => name === model);
    if (shown?.kind === "mlc") return this.webLlm;
    if (isInPage(model, this.now)) await this.opened.promise;
    return isInPage(model, this.now) ? pageEngine(this.worker.client) : serverEngine(scene.mostBodyBytes);
  }
}
