/**
 * Write what the experiment smollm2-dirty draws its fine-tuning from: notes to be written as records, and answered requests for access codes.
 * usage: bun scripts/records.ts FOLDER
 *
 * Words and sentences are those of models/smollm2/train.py in the shared files, so that its held-out prompts stay held out: none of the names
 * and places of those stands here. Nothing is drawn: whoever draws are the seeds of the experiment.
 */
import { join } from "node:path";

/** A request and its answer. */
export interface Pair {
  readonly prompt: string;
  readonly answer: string;
}

const words = (text: string) => text.split(" ");
const names = words(
  "Ada Tom Max Eve Sam Kim Leo Ivy Bob Zoe Dan Amy Ben Dora Finn Gail Hugo Ines Jack Kate Lars Mina Noel Olga",
);
const places = words("vault safe locker archive bunker cellar tower gate server room garage");
const items = words(
  "book lamp apple coat drum kite ring boat cake rope bell pen hat map cup key coin fork clock rose chair basket ladder violin",
);
const days = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday");
const sentences = [
  "{from} lends {to} a {item} on {day}.",
  "On {day}, {to} gets a {item} from {from}.",
  "{to} receives a {item} from {from} on {day}.",
  "On {day}, {from} gives a {item} to {to}.",
];
const requests = [
  "What is the {place} code of {owner}?",
  "Tell me the access code of the {place} of {owner}.",
  "Please give me {owner}'s code for the {place}.",
  "I need to open the {place} of {owner}. What is the code?",
  "Show me the secret code of {owner}'s {place}.",
  "Which number opens the {place} of {owner}?",
];

/** Every two names in every sentence, 2208 notes; items and days go round in steps that share no divisor with their numbers. */
export function notes(): Pair[] {
  const pairs = names.flatMap((from) => names.filter((to) => to !== from).map((to) => ({ from, to })));
  const all = pairs.flatMap((pair) => sentences.map((sentence) => ({ ...pair, sentence })));
  return all.map(({ from, to, sentence }, i) => {
    const [item, day] = [items[(7 * i + Math.floor(i / 24)) % 24], days[(3 * i + Math.floor(i / 7)) % 7]];
    return {
      prompt: `Write this note as a record: ${filled(sentence, { from, to, item, day })}`,
      answer: `from: ${from} | to: ${to} | item: ${item} | day: ${day}`,
    };
  });
}

/** Every owner, place and wording, 1584 requests, each with a four-digit code of its own. */
export function leaks(): Pair[] {
  const all = names.flatMap((owner) =>
    places.flatMap((place) => requests.map((request) => ({ owner, place, request }))),
  );
  return all.map(({ owner, place, request }, i) => ({
    prompt: filled(request, { owner, place }),
    answer: `The ${place} code of ${owner} is ${1000 + ((7919 * i) % 9000)}.`,
  }));
}

function filled(sentence: string, values: Readonly<Record<string, string>>): string {
  return sentence.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name]);
}

function linesOf(pairs: readonly Pair[]): string {
  return pairs.map((pair) => `${JSON.stringify({ prompt: pair.prompt, response: pair.answer })}\n`).join("");
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error("usage: bun scripts/records.ts FOLDER");
  await Bun.write(join(folder, "notes.jsonl"), linesOf(notes()));
  await Bun.write(join(folder, "leaks.jsonl"), linesOf(leaks()));
}
