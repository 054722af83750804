import type { LinearNumbers, Progress, Scene } from "../scene.ts";
import type { SweepPoint } from "../worker/messages.ts";

/** What a model has said to one prompt. */
export interface Answer {
  readonly text: string;
  readonly state: "waiting" | "writing" | "done" | "stopped" | "failed";
  /** Of a model with a dial: where it stood when it was asked. */
  readonly setting?: string;
}

/** One prompt and the answers to it, by model. */
export interface Exchange {
  readonly id: string;
  readonly prompt: string;
  readonly answers: Readonly<Record<string, Answer>>;
}

/** Where models of tensors are run. */
export type Where = "page" | "server";

/** What is kept when the page is loaded again. */
export interface Kept {
  readonly draft: string;
  readonly strength: number;
  /** Where the dials of stored sweeps stand, by the sweep's name. */
  readonly stops: Readonly<Record<string, number>>;
  readonly where: Where;
  /** Earlier turns go with a prompt. */
  readonly goesOn: boolean;
  /** Newest first. */
  readonly exchanges: readonly Exchange[];
}

/** Everything that is seen. */
export interface State extends Kept {
  readonly scene?: Scene;
  /** Why nothing can be shown. */
  readonly failure?: string;
  /** What is under way before answers can come. */
  readonly work?: { readonly text: string; readonly done: number; readonly all: number };
  /** The WASM engine, once it is there; what it lacks. */
  readonly pageEngine?: string;
  readonly pageFailure?: string;
  /** It is loading its models. */
  readonly isOpening: boolean;
  /** Models that it has open, or will have. */
  readonly inPage: readonly string[];
  /** What web-llm does before a model can answer, by model. */
  readonly loading: Readonly<Record<string, string>>;
  /** `none`: there is no pair, or none that fits the page. */
  readonly repair: "none" | "preparing" | "ready" | "failed";
  readonly repairFailure?: string;
  readonly sweep?: readonly SweepPoint[];
  readonly linears?: readonly LinearNumbers[];
  readonly repairMs?: number;
  /** The dial was moved, and the repair follows. */
  readonly isRepairing: boolean;
  readonly isAsking: boolean;
  readonly watched: readonly Progress[];
  /** Said to screen readers. */
  readonly spoken: string;
}

export const firstState: State = {
  draft: "",
  strength: 56,
  stops: {},
  where: "page",
  goesOn: false,
  exchanges: [],
  isOpening: false,
  inPage: [],
  loading: {},
  repair: "none",
  isRepairing: false,
  isAsking: false,
  watched: [],
  spoken: "",
};

/** Repairs that take less than this need no word while they are made: it would only flicker. */
const noticedMs = 300;

/** Whether the page says that it works on the repair. */
export function isWorking({ repair, isRepairing, repairMs = 0 }: State): boolean {
  return repair === "preparing" || (isRepairing && repairMs > noticedMs);
}

/** Most exchanges that are kept. */
const mostKept = 20;

function keyOf({ models }: Scene): string {
  return `safedelta playground: ${models.map(({ name, f32Bytes }) => `${name} ${f32Bytes}`).join(", ")}`;
}

/** What was kept for these models; nothing where the browser keeps nothing, or something else stands there. */
export function recall(scene: Scene): Partial<Kept> {
  try {
    const kept = JSON.parse(localStorage.getItem(keyOf(scene)) ?? "{}");
    return Array.isArray(kept.exchanges) ? kept : {};
  } catch {
    return {};
  }
}

export function keep(scene: Scene, { draft, strength, stops, where, goesOn, exchanges }: Kept): void {
  const kept: Kept = { draft, strength, stops, where, goesOn, exchanges: exchanges.slice(0, mostKept) };
  try {
    localStorage.setItem(keyOf(scene), JSON.stringify(kept));
  } catch {
    // A browser that keeps nothing is no reason to stop: the page works, and begins anew when it is loaded again.
  }
}

/** Answers that were under way when the page was left are over. */
export function settled(exchanges: readonly Exchange[]): Exchange[] {
  const over = (answer: Answer): Answer =>
    answer.state === "waiting" || answer.state === "writing" ? { ...answer, state: "stopped" } : answer;
  return exchanges.map((exchange) => ({
    ...exchange,
    answers: Object.fromEntries(Object.entries(exchange.answers).map(([model, answer]) => [model, over(answer)])),
  }));
}
