import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { resolveSpec } from "@safedelta/checkpoint";
import { type Draw, localFiles } from "@safedelta/data";
import type { Plan, Step } from "@safedelta/experiment";
import type { z } from "zod";
import type { DefinedCommand } from "../command.ts";
import type { Reads } from "../options.ts";
import { kebab } from "../recipe.ts";
import { type Fault, faultOf, placeOf } from "./faults.ts";

export type Commands = Readonly<Record<string, DefinedCommand>>;

/** A data source of a step. */
export interface StepSource extends Draw {
  /** The option that names it; undefined of an argument. */
  readonly option?: string;
  readonly needsAnswers?: boolean;
  /** The option that says how many of it are drawn. */
  readonly drawnBy?: string;
}

/** The data sources of a step. @throws DataError for an argument that cannot be read as one */
export function sourcesOf(step: Step, command: DefinedCommand): StepSource[] {
  const ofOptions = [...named(step, command, "source"), ...named(step, command, "answered")];
  const all = ofOptions.map(({ value, option, meta: { reads, drawnBy } }) => {
    return { name: value, option, needsAnswers: reads === "answered", drawnBy: drawnBy && kebab(drawnBy) };
  });
  return [...all, ...command.sources(step.args)];
}

/** What an option says of what it reads; `words` stand for nothing that is read. */
interface ReadMeta {
  readonly reads?: Reads;
  readonly drawnBy?: string;
  readonly words?: readonly string[];
}

/** What the options of a kind name. */
function named({ options }: Step, { schema }: DefinedCommand, kind: Reads) {
  return Object.entries(schema.shape).flatMap(([name, type]) => {
    const meta = ((type as z.ZodType).meta() ?? {}) as ReadMeta;
    const value = options[kebab(name)];
    if (meta.reads !== kind || typeof value !== "string" || meta.words?.includes(value)) return [];
    return [{ value, option: name, meta }];
  });
}

function valuesOf(step: Step, command: DefinedCommand, kind: Reads): string[] {
  return named(step, command, kind).map(({ value }) => value);
}

/** Files and models that are not there and that no step makes. The steps were checked. */
export async function missingFiles({ steps }: Plan, commands: Commands): Promise<Fault[]> {
  const all = [...steps.values()].map(async (step) => {
    const command = commands[step.command];
    const files = [
      ...valuesOf(step, command, "file"),
      ...sourcesOf(step, command).flatMap(({ name }) => localFiles(name)),
    ].filter((file) => !isMade(file, step) && !existsSync(file));
    const missing = files.map((file) => ({ where: placeOf(step), problem: `${file}: there is no such file.` }));
    const models = [...command.models(step.args), ...valuesOf(step, command, "model")];
    const faults = await Promise.all(models.map((spec) => faultOf(placeOf(step), () => checkModel(spec, step))));
    return [...missing, ...faults.flat()];
  });
  return (await Promise.all(all)).flat();
}

/** Whether a step makes it. */
export function isMade(file: string, { artefact }: Step): boolean {
  return file.startsWith(`${dirname(artefact)}/`);
}

/** A made model and what lies on it or under it: the place of what is made may hold a + itself. */
function partsOf(spec: string, { artefact }: Step): string[] {
  const made = dirname(artefact);
  return spec
    .split(`${made}/`)
    .flatMap((piece, i) =>
      i === 0 ? [piece.replace(/\+$/, "")] : [`${made}/${piece.split("+")[0]}`, ...piece.split("+").slice(1)],
    )
    .filter((piece) => piece !== "");
}

/** @throws CheckpointError for a spelling that means no model of this machine, and none of the Hub */
async function checkModel(spec: string, step: Step): Promise<void> {
  const [base, ...adapters] = partsOf(spec, step);
  const found = isMade(base, step) ? undefined : await resolveSpec(base);
  if (found?.kind === "chain") adapters.push(found.base, found.adapter);
  for (const part of adapters) await checkModel(part, step);
}
