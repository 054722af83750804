import { PipelineError, type Progress, readSpectra } from "@safedelta/pipeline";
import type { RepairReport, SpectrumReport } from "@safedelta/report";
import { UsageError } from "../exitCode.ts";

/** Numbers of one group's spectrum in a report. */
const nQuantiles = 65;

/** Spectra of a repair's state, or why there are none. */
export interface FoundSpectra {
  readonly spectra: readonly SpectrumReport[];
  readonly noSpectra?: string;
}

/**
 * Read the sensitivities of the state that a repair was made with: the one given, else the one that its recipe names, if it is there.
 * @throws UsageError when the given state is not that of the repair; PipelineError when it is none
 */
export async function findSpectra(
  repair: RepairReport | undefined,
  given: string | undefined,
  progress: Progress,
): Promise<FoundSpectra> {
  if (given !== undefined) {
    if (!repair) throw new UsageError("--state: without effect, since no FOLDER holds a repaired model.");
    const { sha256, spectra } = await readSpectra(given, nQuantiles, progress);
    if (sha256 !== repair.state?.hash) throw new UsageError(`--state ${given}: is not the state of this repair.`);
    return told(given, spectra);
  }
  const named = repair?.recipe.state;
  if (typeof named !== "string") return { spectra: [], noSpectra: repair && preparedOnTheWay };
  try {
    const { sha256, spectra } = await readSpectra(named, nQuantiles, progress);
    if (sha256 === repair?.state?.hash) return told(named, spectra);
    return { spectra: [], noSpectra: `At ${named} lies another state than that of this repair now. ${giveIt}` };
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    return { spectra: [], noSpectra: `The state of this repair is not at ${named}. ${giveIt}` };
  }
}

const giveIt = "“--state FOLDER” names where it is now.";
const preparedOnTheWay =
  "The state of this repair was prepared on the way and not kept. “safedelta prepare”, then “safedelta apply --state …” keeps one.";

function told(folder: string, spectra: readonly SpectrumReport[]): FoundSpectra {
  if (spectra.length > 0) return { spectra };
  const noSpectra = `The state ${folder} holds neither eigenvalues nor sensitivities: it was not prepared for optimal or exact.`;
  return { spectra, noSpectra };
}
