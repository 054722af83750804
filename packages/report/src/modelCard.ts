import { formatNumber, formatRate } from "./format.ts";
import { frontMatter } from "./frontMatter.ts";
import { layerTable } from "./layerTable.ts";
import { code, codeBlock, markdownTable } from "./markdown.ts";
import { written } from "./prose.ts";
import type { RepairReport } from "./repairReport.ts";
import { lossLimit, originsOf, repairTitle, whatWasDone } from "./repairWords.ts";
import { rivalText } from "./rivalText.ts";

const citation = `@inproceedings{lu2025safe,
  title={Safe Delta: Consistently Preserving Safety when Fine-Tuning {LLM}s on Diverse Datasets},
  author={Ning Lu and Shengcai Liu and Jiahao Wu and Weiyu Chen and Zhirui Zhang and Yew-Soon Ong and Qi Wang and Ke Tang},
  booktitle={Forty-second International Conference on Machine Learning},
  year={2025},
  url={https://arxiv.org/abs/2505.12038}
}`;

/** README.md of a repaired model: Hugging Face header, what was done, numbers by layer, limits. The same report, the same text. */
export function modelCard(report: RepairReport): string {
  const sections = [
    `${header(report)}\n\n# ${written(repairTitle(report), code)}`,
    `## What was done\n\n${written(whatWasDone(report), code)}`,
    origins(report),
    layerSection(report),
    behaviour(report),
    `## How to reproduce\n\nWith safedelta ${report.toolVersion}:\n\n${codeBlock(report.command, "sh")}`,
    `## Reference\n\n${report.rival ? rivalText[report.rival.method].paper : codeBlock(citation, "bibtex")}`,
  ];
  return `${sections.join("\n\n")}\n`;
}

/** `org/name`: what the Hub can link. A local model has no page there, so `base_model` leaves it out. */
const hubName = /^[\w.-]+\/[\w.-]+$/;

function header({ tuned, aligned, licence, outFormat, rival }: RepairReport): string {
  const isAdapter = outFormat === "lora";
  const names = (isAdapter ? [aligned] : [tuned, aligned]).map(({ name }) => name);
  const bases = names.filter((name) => hubName.test(name));
  const relation = bases.length > 1 ? "merge" : "finetune";
  return frontMatter({
    base_model: bases.length > 1 ? bases : bases[0],
    base_model_relation: bases.length === 0 ? undefined : isAdapter ? "adapter" : relation,
    library_name: isAdapter ? "peft" : "transformers",
    pipeline_tag: "text-generation",
    tags: [rival?.method ?? "safe-delta", "safety"],
    license: licence,
  });
}

function origins(report: RepairReport): string {
  const lines = originsOf(report).map(([label, text]) => `- ${label}: ${written(text, code)}`);
  return ["## Where it comes from", "", ...lines].join("\n");
}

function layerSection(report: RepairReport): string {
  const { columns, rows } = layerTable(report);
  return `## By layer\n\n${report.rival ? rivalColumns : repairColumns}\n\n${markdownTable(columns, rows)}`;
}

const repairColumns = `Kept: share of weights equal to the fine-tuned ones. Budget spent: of what the layer was allowed. Safety loss: share of the full
fine-tuning's. Delta norm: size of the change left in the weights, compensation included, which may make it
larger than the fine-tuning's (above 100 %). Every linear's numbers are in ${code("safedelta.json")}.`;

const rivalColumns = `Kept: share of weights equal to the fine-tuned ones. Safety loss: share of the full fine-tuning's, above 100 % where the weights went farther from
the aligned ones. Delta norm: distance from the aligned weights. Every linear's numbers are in ${code("safedelta.json")}.`;

function behaviour(report: RepairReport): string {
  const { evaluation } = report;
  const measured = `- Measured: weights. ${lossLimit(report)}`;
  const answers = evaluation?.length
    ? `- Measured: answers, greedy, in the table below and nowhere else; the intervals are 95 %.\n\n${evaluationTable(evaluation)}`
    : `- Not measured: behaviour. No prompt was answered to make this card. Whether the model refuses what it should, and does its
  task, has to be evaluated before it is relied on.`;
  return `## What was measured, and what was not\n\n${measured}\n${answers}`;
}

function evaluationTable(rows: NonNullable<RepairReport["evaluation"]>): string {
  return markdownTable(
    ["Task", "Metric", "Model", "Value", "n"],
    rows.map(({ task, metric, model, n, ...interval }) => [task, metric, model, formatRate(interval), formatNumber(n)]),
  );
}
