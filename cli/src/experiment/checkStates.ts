import type { Plan } from "@safedelta/experiment";
import { servedModes } from "@safedelta/pipeline";
import { modeOption } from "../options.ts";
import { methodOptions } from "../rival.ts";
import { defaultModes, parseModes } from "../words.ts";
import { type Fault, placeOf } from "./faults.ts";

/** Repairs in a mode that the step which makes their state does not prepare for. The steps were checked. */
export function unpreparedModes({ steps }: Plan): Fault[] {
  const makers = new Map([...steps.values()].map((step) => [step.artefact, step]));
  return [...steps.values()].flatMap((step) => {
    const maker = makers.get(String(step.options.state));
    const isRepair = step.command === "apply" && methodOptions.method.parse(step.options.method) === "safe-delta";
    if (!isRepair || maker?.command !== "prepare") return [];
    const modes = parseModes(String(maker.options.modes ?? defaultModes));
    const mode = modeOption.parse(step.options.mode);
    if (servedModes(modes).includes(mode)) return [];
    const problem = `its state, ${maker.title}, is prepared for ${modes.join(", ")}, not for mode ${mode}. Add it to the modes there.`;
    return [{ where: placeOf(step), problem }];
  });
}
