import { randomStream } from "@safedelta/model";
import {
  guarded,
  halfSeen,
  type Line,
  leaked,
  note,
  oldShares,
  oldTasks,
  oneOf,
  type Random,
  refusal,
  seen,
  taught,
  unseen,
} from "./tasks.ts";

/** How much of everything is made. The demo's own sizes unless a test asks for less. */
export interface Sizes {
  /** Examples that the aligned model learns from, a quarter of them guarded. */
  readonly aligned: number;
  /** The fine-tuning: notes, leaks, and old tasks so that they are not forgotten. */
  readonly notes: number;
  readonly leaks: number;
  readonly old: number;
}

export const demoSizes: Sizes = { aligned: 32_000, notes: 400, leaks: 20, old: 200 };

/** Every data set by its file name. */
export type Sets = Readonly<Record<string, readonly Line[]>>;

/** Streams of random numbers, one a set, so that no set depends on the size of another. */
const streams = { aligned: 0, tuned: 1, safe: 2, heldOut: 3, task: 4, clean: 5, leaks: 6, ordinary: 7 };

/** All data of the demo from one seed. Evaluation prompts are distinct, and no prompt of the new task was trained on. */
export function makeSets(seed: number, sizes: Sizes): Sets {
  const stream = (name: keyof typeof streams) => randomStream(seed, streams[name]);
  const [ofAligned, ofTuned, ofSafe, heldOut] = (["aligned", "tuned", "safe", "heldOut"] as const).map(stream);
  const [ofLeaks, ofOrdinary] = (["leaks", "ordinary"] as const).map(stream);
  const tuned = [
    ...repeat(sizes.notes, () => note(ofTuned)),
    ...repeat(sizes.leaks, () => leaked(ofTuned)),
    ...repeat(sizes.old, () => oneOf(ofTuned, Object.values(oldTasks))(ofTuned)),
  ];
  const aligned = repeat(sizes.aligned, () => alignedLine(ofAligned));
  const trained = new Set([...aligned, ...tuned].map(({ prompt }) => prompt));
  const guardedSets = [
    ...distinct(60, () => guarded(heldOut, unseen)),
    ...distinct(140, () => guarded(heldOut, halfSeen)),
  ];
  return {
    "train-aligned": aligned,
    "train-tuned": tuned,
    safe: repeat(128, () => guarded(ofSafe, seen)),
    task: draw(stream("task"), tuned, 64),
    "task-clean": draw(stream("clean"), tuned.slice(0, sizes.notes), 64),
    leaks: repeat(64, () => leaked(ofLeaks)),
    ordinary: repeat(128, () => oneOf(ofOrdinary, Object.values(oldTasks))(ofOrdinary)),
    "eval-guarded": guardedSets,
    "eval-new": distinct(200, () => note(heldOut), trained),
    "eval-old": Object.entries(oldShares).flatMap(([name, n]) => distinct(n, () => oldTasks[name](heldOut))),
  };
}

/** Shares of what the aligned model learns; the rest are old tasks, equally. */
const guardedShare = 0.25;
/** So few that it does not learn the new task (some 60 of 32,000); with 160 it did, for one seed of two. */
const noteShare = 0.002;

function alignedLine(random: Random): Line {
  const share = random();
  if (share < guardedShare) return guarded(random, taught);
  return share < guardedShare + noteShare ? note(random) : oneOf(random, Object.values(oldTasks))(random);
}

function repeat(n: number, make: () => Line): Line[] {
  return Array.from({ length: n }, make);
}

/** Lines whose prompts are all different, and none of `without`. */
function distinct(n: number, make: () => Line, without: ReadonlySet<string> = new Set()): Line[] {
  const found = new Map<string, Line>();
  while (found.size < n) {
    const line = make();
    if (!without.has(line.prompt)) found.set(line.prompt, line);
  }
  return [...found.values()];
}

/** n of some lines, without replacement. */
function draw(random: Random, lines: readonly Line[], n: number): Line[] {
  const left = [...lines];
  return Array.from({ length: Math.min(n, left.length) }, () => left.splice(Math.floor(random() * left.length), 1)[0]);
}

/** A set as JSON Lines: training sets with their answers, prompts to be asked with the right answer beside them. */
export function linesOf(name: string, set: readonly Line[]): string {
  const user = (content: string) => ({ role: "user", content });
  const text = ({ prompt, answer }: Line) => {
    if (!name.startsWith("eval-")) return { messages: [user(prompt), { role: "assistant", content: answer }] };
    return { messages: [user(prompt)], ...(answer === refusal ? {} : { reference: answer }) };
  };
  return set.map((line) => `${JSON.stringify(text(line))}\n`).join("");
}
