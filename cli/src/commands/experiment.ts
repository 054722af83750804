import { existsSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { parseRecipe, recipeSchema, terminalPlot } from "@safedelta/experiment";
import { lockFolder } from "@safedelta/pipeline";
import { experimentNotes, experimentText, incompleteNote } from "@safedelta/report";
import { defineCommand, required } from "../command.ts";
import { exitCode } from "../exitCode.ts";
import { surroundingFlags } from "../experiment/checkSteps.ts";
import { draftFor } from "../experiment/draftFor.ts";
import { tellPlan } from "../experiment/dryRun.ts";
import { saveHashes } from "../experiment/hashInputs.ts";
import { claimFolder } from "../experiment/outFolder.ts";
import { preflight } from "../experiment/preflight.ts";
import { runExperiment, whatIsDue } from "../experiment/runExperiment.ts";
import { writeResults } from "../experiment/writeResults.ts";
import { computeOptions, option } from "../options.ts";
import { plainWords } from "../plainWords.ts";
import { readNamed } from "../readNamed.ts";

/** `safedelta experiment RECIPE.yaml` */
export const experimentCommand = defineCommand({
  brief: "Run an experiment: data, fine-tuning, methods, evaluations and seeds, to a table",
  help:
    "RECIPE names what is made, the methods, the evaluations and the seeds. Every step is a command of this program, kept under a fingerprint of " +
    "its options and inputs: what is done is never done again, and the same command goes on after an interruption. Writes results.json, table.md, report.html and plots into --out.",
  args: ["RECIPE"],
  document: recipeSchema,
  options: {
    out: option.outFolder("folder of everything that is made [experiments/RECIPE]"),
    set: option.words({ brief: "values of the recipe's variables; @FILE: its text", placeholder: "name=value,…" }),
    seeds: option.numbers({ brief: "seeds in place of the recipe's" }),
    methods: option.words({ brief: "only the rows of these methods", placeholder: "NAME,…" }),
    jobs: option.positive(1, { brief: "steps at once" }),
    keepModels: option.flag("keep the repaired models when they have been measured"),
    dryRun: option.flag("check everything, print the steps with sizes and time guesses, write nothing"),
    ...computeOptions,
  },
  async run(options, [path], io) {
    const file = required(path, "RECIPE");
    const recipe = parseRecipe(file, await readNamed(file), plainWords);
    const out = options.out ?? join("experiments", basename(file, extname(file)));
    const { jobs, keepModels, threads, offline, maxMemory, dryRun, set, seeds } = options;
    const methods = options.methods?.split(",").map((name) => name.trim());
    const draft = await draftFor(recipe, { out, set, seeds, methods, engine: options.engine, threads }, io);
    const { commands } = await import("../commands.ts");
    await preflight(out, draft, commands, { dryRun }, io);
    const { plan, known } = await draft.finish();
    if (dryRun) return tellPlan({ out, plan, due: await whatIsDue(out, plan), device: draft.device, keepModels }, io);
    await using _lock = await lockFolder(out);
    await claimFolder(out, plan, draft.stamp);
    await saveHashes(out, known);
    const due = await whatIsDue(out, plan);
    io.note(`${plan.steps.size} steps, ${due.length} of them to do`);
    const given = { engine: draft.stamp.engine.name, threads, offline, maxMemory, overwrite: true };
    const flagsOf = (command: string) => surroundingFlags(commands[command].schema, given);
    const end = await runExperiment(plan, due, { out, jobs, keepModels, flagsOf }, io);
    if (end === undefined) {
      io.progress.warn("interrupted; finished pieces are kept, and the same command goes on");
      return exitCode.interrupted;
    }
    const { results, folder } = await writeResults(out, recipe, plan);
    io.print([experimentText(results), "", ...experimentNotes(results)].join("\n"));
    for (const plot of results.cases.map(terminalPlot)) if (plot !== undefined) io.print(`\n${plot}`);
    const [failed, skipped] = [end.failed, end.skipped].map((steps) => steps.map(({ title }) => title));
    io.document({ ...results, out, folder, failed, skipped });
    for (const text of incompleteNote(results.missing)) io.progress.warn(text);
    const isKept = folder !== out && existsSync(join(out, "results.json"));
    const former = !isKept ? "" : `; ${out} keeps what the last run without failures wrote`;
    io.note(`written: ${folder} (results.json, table.md, report.html, plots)${former}`);
    return failed.length > 0 ? exitCode.failure : undefined;
  },
});
