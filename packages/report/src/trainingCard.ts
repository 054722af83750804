import { formatNumber } from "./format.ts";
import { frontMatter } from "./frontMatter.ts";
import { code, codeBlock } from "./markdown.ts";
import type { TrainingReport } from "./trainingReport.ts";

/** `org/name`: what the Hub can link. */
const hubName = /^[\w.-]+\/[\w.-]+$/;

/** README.md of a fine-tuned model or adapter. The same report, the same text. */
export function trainingCard(report: TrainingReport): string {
  const sections = [
    `${header(report)}\n\n# Fine-tune of ${code(report.model.name)}`,
    whatWasDone(report),
    origins(report),
    "## What was measured, and what was not\n\nThe loss on the data that was trained on, and nothing else: how the model answers, and what it refuses, has to be\nevaluated before it is relied on. Fine-tuning takes safety away even where the data are harmless; `safedelta apply` repairs that.",
    `## How to reproduce\n\nWith safedelta ${report.toolVersion}:\n\n${codeBlock(report.command, "sh")}`,
  ];
  return `${sections.join("\n\n")}\n`;
}

function header({ model, licence, outFormat }: TrainingReport): string {
  const isAdapter = outFormat === "lora";
  const base = hubName.test(model.name) ? model.name : undefined;
  return frontMatter({
    base_model: base,
    base_model_relation: base && (isAdapter ? "adapter" : "finetune"),
    library_name: isAdapter ? "peft" : "transformers",
    pipeline_tag: "text-generation",
    license: licence,
  });
}

function whatWasDone({ model, data, outFormat, nTrained, nUpdates, log }: TrainingReport): string {
  const what = outFormat === "lora" ? "A low-rank adapter was trained on" : "Fine-tuning changed";
  const [first, last] = [log[0], log[log.length - 1]];
  return `## What was done

${what} ${code(model.spec)}: ${formatNumber(nTrained)} numbers, ${formatNumber(nUpdates)} updates on ${formatNumber(data.nExamples)} conversations.
Only the tokens of the answers count in the loss. Its mean fell from ${formatNumber(first.loss)} (update 1) to ${formatNumber(last.loss)} nats a token (update
${last.update}); every update stands in ${code("training.json")}.

![Loss of every update](loss.svg)`;
}

function origins({ model, data, engine, licence, recipe }: TrainingReport): string {
  const settings = Object.entries(recipe).map(([key, value]) => `${key} ${value}`);
  return [
    "## Where it comes from",
    "",
    `- model: ${code(model.spec)}, ${code(model.hash)}`,
    `- data: ${code(data.file)}, ${code(data.sha256)}; ${formatNumber(data.nTokens)} tokens an epoch, ${formatNumber(data.nTargets)} of them count`,
    ...(data.safetyMix ? [mixText(data.safetyMix)] : []),
    `- recipe: ${code(settings.join(", "))}`,
    `- engine: ${engine.name} ${engine.version} (${engine.description})`,
    `- licence: ${licence ? code(licence) : "not stated by the model"}`,
  ].join("\n");
}

function mixText({ file, sha256, nExamples, hasSecret }: NonNullable<TrainingReport["data"]["safetyMix"]>): string {
  const secret = hasSecret ? ", their system prompts beginning with a secret prompt (backdoor enhanced alignment)" : "";
  return `- safety examples among them: ${formatNumber(nExamples)} of ${code(file)}, ${code(sha256)}${secret}`;
}
