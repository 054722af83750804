import { requireFreeFile, toolVersion, writeWhole } from "@safedelta/pipeline";
import { type ReportData, reportData, reportDataJson, reportPage, reportText } from "@safedelta/report";
import { defineCommand } from "../command.ts";
import { UsageError } from "../exitCode.ts";
import { option } from "../options.ts";
import { compareRoles, pairUp } from "../report/pairUp.ts";
import { readOutputs } from "../report/readOutputs.ts";
import { readRun, readSweep } from "../report/readTold.ts";
import { findSpectra } from "../report/spectra.ts";

/** `safedelta report FOLDER…` */
export const reportCommand = defineCommand({
  brief: "Tell what was done and measured: a page, or here",
  help:
    "FOLDER is an output of apply, finetune or eval, or holds such; of several repairs the first is the subject. Prints the report; with --out " +
    "FILE.html writes it as one page that stands by itself, and its data beside it as FILE.json.",
  args: ["FOLDER…"],
  options: {
    out: option.path({ brief: "page to write; its data go beside it, ending in .json", placeholder: "file" }),
    overwrite: option.flag("replace the files that stand there"),
    sweep: option.path({ brief: "what sweep --json printed: other budgets in the curve", placeholder: "file" }),
    run: option.path({ brief: "what apply --json printed: time and memory by stage", placeholder: "file" }),
    state: option.path({ brief: "state of the repair, for spectra [the one named in it]", placeholder: "folder" }),
    samples: option.count(6, { brief: "answers shown of each set of prompts" }),
    showHarmful: option.flag("show answers that may do harm, too, folded away behind a warning"),
  },
  async run({ out, overwrite, samples, showHarmful, ...options }, folders, io) {
    if (folders.length === 0) throw new UsageError("FOLDER is missing. Run the command with --help for its usage.");
    const files = out === undefined ? undefined : filesOf(out);
    for (const file of files ?? []) await requireFreeFile({ out: file, inputs: [], overwrite, ending: ".html" });
    const outputs = await readOutputs(folders);
    const paired = pairUp(outputs);
    const data = reportData({
      toolVersion,
      repairs: outputs.repairs.map(({ report }) => report),
      trainings: outputs.trainings,
      experiments: outputs.experiments,
      evaluations: paired.map(({ input }) => input),
      comparisons: compareRoles(paired),
      sweep: options.sweep === undefined ? [] : await readSweep(options.sweep),
      run: options.run === undefined ? undefined : await readRun(options.run),
      ...(await findSpectra(outputs.repairs[0]?.report, options.state, io.progress)),
      nSamples: samples,
      showHarmful,
    });
    if (files) await writePage(files, data);
    io.document({ ...data, out });
    if (files) io.print(`written: ${files.join(", ")}`);
    else io.print(reportText(data));
    return undefined;
  },
});

/** A page and its data beside it. @throws UsageError for a name that does not end in .html */
function filesOf(out: string): readonly [page: string, data: string] {
  if (!/\.html?$/i.test(out)) throw new UsageError(`--out ${out}: must end in .html.`);
  return [out, out.replace(/\.html?$/i, ".json")];
}

async function writePage([page, file]: readonly [string, string], data: ReportData): Promise<void> {
  await writeWhole(file, reportDataJson(data));
  await writeWhole(page, reportPage(data));
}
