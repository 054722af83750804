import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { resolveSpec } from "@safedelta/checkpoint";
import { type Draw, loadSource, localFiles, mixExamples, type SourceAccess } from "@safedelta/data";
import type { Plan, Step } from "@safedelta/experiment";
import type { z } from "zod";
import type { DefinedCommand } from "../command.ts";
import type { Reads } from "../options.ts";
import { kebab } from "../recipe.ts";
import { type Fault, faultOf, placeOf } from "./faults.ts";

type Commands = Readonly<Record<string, DefinedCommand>>;

/** The data sources of a step. @throws DataError for an argument that cannot be read as one */
export function sourcesOf(step: Step, command: DefinedCommand): Draw[] {
  return [...named(step, command, "source").map((name) => ({ name })), ...command.sources(step.args)];
}

/** What the options of a kind name. */
function named({ options }: Step, { schema }: DefinedCommand, kind: Reads): string[] {
  const isOfKind = (type: unknown) => (type as z.ZodType).meta()?.reads === kind;
  const names = Object.keys(schema.shape).filter((name) => isOfKind(schema.shape[name]));
  return names.map((name) => options[kebab(name)]).filter((value) => typeof value === "string");
}

/** Files and models that are not there and that no step makes. The steps were checked. */
export async function missingFiles({ steps }: Plan, commands: Commands): Promise<Fault[]> {
  const all = [...steps.values()].map(async (step) => {
    const command = commands[step.command];
    const files = [
      ...named(step, command, "file"),
      ...sourcesOf(step, command).flatMap(({ name }) => localFiles(name)),
    ].filter((file) => !isMade(file, step) && !existsSync(file));
    const missing = files.map((file) => ({ where: placeOf(step), problem: `${file}: there is no such file.` }));
    const models = [...command.models(step.args), ...named(step, command, "model")];
    const faults = await Promise.all(models.map((spec) => faultOf(placeOf(step), () => checkModel(spec, step))));
    return [...missing, ...faults.flat()];
  });
  return (await Promise.all(all)).flat();
}

function isMade(file: string, { artefact }: Step): boolean {
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

/** Data of this machine that cannot be read, or hold less than is asked of them; what a step makes or the Hub holds is left for later. */
export async function unreadableData({ steps }: Plan, commands: Commands): Promise<Fault[]> {
  const asked = new Map<string, { readonly draw: Draw; readonly step: Step }>();
  for (const step of steps.values())
    for (const draw of sourcesOf(step, commands[step.command]))
      if (localFiles(draw.name).every((file) => !isMade(file, step) && existsSync(file)))
        asked.set(JSON.stringify(draw), asked.get(JSON.stringify(draw)) ?? { draw, step });
  const faults: Fault[] = [];
  for (const { draw, step } of asked.values()) faults.push(...(await faultOf(placeOf(step), () => readDraw(draw))));
  return faults;
}

async function readDraw(draw: Draw): Promise<void> {
  try {
    mixExamples([{ ...draw, examples: await loadSource(draw.name, here, { seed: 0 }) }], 0);
  } catch (error) {
    if (!(error instanceof ElsewhereError)) throw error;
  }
}

/** A file of the Hub is asked for. */
class ElsewhereError extends Error {}

/** What a step warns of, it says itself. */
const here: SourceAccess = {
  locate: () => Promise.reject(new ElsewhereError()),
  warn: () => {},
};
