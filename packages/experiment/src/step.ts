import { createHash } from "node:crypto";
import type { Scalar } from "./recipe.ts";
import { type Resolved, resolveText, type Scope } from "./scope.ts";

/** One command to be run; the same id, the same result. */
export interface Step {
  /** Name and fingerprint. */
  readonly id: string;
  /** For people. */
  readonly title: string;
  readonly kind: "make" | "apply" | "eval";
  readonly command: string;
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, string | boolean>>;
  /** Where it writes. */
  readonly artefact: string;
  /** Ids of the steps that come before. */
  readonly needs: readonly string[];
}

/** What a step is made of, its texts with `${names}`. */
export interface StepRequest {
  readonly name: string;
  readonly title: string;
  readonly kind: Step["kind"];
  readonly command: string;
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, Scalar>>;
}

/** Where steps write, and what decides their results besides their own words: version of the tool, engine. */
export interface Surroundings {
  readonly out: string;
  readonly stamp: string;
}

/** Commands whose --out is a file. */
const fileCommands: readonly string[] = ["data mix", "data answer"];

/** The step with its names filled in, under a fingerprint of command, options and inputs. @throws ExperimentError for unknown names */
export function makeStep(request: StepRequest, scope: Scope, { out, stamp }: Surroundings): Step {
  const { name, title, kind, command } = request;
  const resolve = (text: string) => resolveText(text, scope, title);
  const args = request.args.map(resolve);
  const options = Object.entries(request.options).map(([key, value]) => [key, resolve(String(value)), value] as const);
  const identity = [
    stamp,
    command,
    args.map((arg) => arg.identity),
    options.map(([key, value]) => [key, value.identity]).sort(([a], [b]) => (a < b ? -1 : 1)),
  ];
  const id = `${slug(name)}-${createHash("sha256").update(JSON.stringify(identity)).digest("hex").slice(0, 12)}`;
  const shown = options.map(([key, { text }, value]) => [key, typeof value === "boolean" ? value : text] as const);
  return {
    ...{ id, title, kind, command },
    args: args.map(({ text }) => text),
    options: Object.fromEntries(shown),
    artefact: `${out}/made/${id}${fileCommands.includes(command) ? ".jsonl" : ""}`,
    needs: [...new Set([...args, ...options.map(([, value]) => value)].flatMap(({ needs }) => needs))],
  };
}

/** What stands for a step in the words of others. */
export function resultOf({ id, artefact }: Step): Resolved {
  return { text: artefact, identity: id, needs: [id] };
}

/** A name that every file system takes. */
function slug(name: string): string {
  return name.replaceAll(/[^\w.-]+/g, "-").slice(0, 60);
}

/** The command line of a step, from the command's name on. */
export function wordsOf({ command, args, options, artefact }: Step): string[] {
  const flags = Object.entries(options).flatMap(([key, value]) => {
    if (typeof value === "boolean") return [value ? `--${key}` : `--no-${key}`];
    return [`--${key}`, value];
  });
  return [...command.split(" "), ...args, ...flags, "--out", artefact];
}
