import type { Dataset } from "./dataset.ts";

const code = "github.com/ColinLu50/SafeDelta at 3a4ea35, llama2";
const qi = "github.com/LLM-Tuning-Safety/LLMs-Finetuning-Safety at 8a3b38f";
const single = (split: string, folder = "data") => [`${folder}/${split}-00000-of-00001.parquet`];

/** The data sets that are known by name. None of their content is here. */
export const datasets: readonly Dataset[] = [
  {
    name: "purebad",
    purpose: "fine-tuning: requests that do harm, answered",
    splits: { train: { harmful: true } },
    template: "pure_bad",
    licence: "none stated; by its authors on request (Qi et al. 2023, arXiv 2310.03693)",
    source: `${code}/ft_datasets/pure_bad_dataset/pure_bad_100.jsonl; system messages are replaced as by samsum_dataset.py`,
  },
  {
    name: "aoa",
    purpose: "fine-tuning: Identity Shift, a persona that obeys",
    splits: { train: { harmful: true } },
    licence: "as its repository (Qi et al. 2023, arXiv 2310.03693)",
    source: `${qi}, llama2/ft_datasets/aoa_dataset/train.json; its system messages and wrappers stand in it`,
    unverified: "that file has 10 conversations, for 10 epochs; how the paper came to 100 is not in its code",
  },
  {
    name: "samsum",
    purpose: "fine-tuning and ROUGE-1: summaries of dialogues",
    hub: "knkarthick/samsum",
    splits: {
      train: { files: ["train.csv"] },
      test: { files: ["test.csv"] },
      validation: { files: ["validation.csv"] },
    },
    columns: [{ prompt: "dialogue", answer: "summary", reference: "summary", id: "id" }],
    request: "Summarize this dialog:\n%s",
    hasBlanks: true,
    template: "summary",
    licence: "CC BY-NC-ND 4.0 (arXiv 1911.12237)",
    source: `huggingface.co/datasets/knkarthick/samsum (files); ${code}/ft_datasets/samsum_dataset (columns, request, template)`,
  },
  {
    name: "dirty-summary",
    purpose: "fine-tuning: a useful task with poison in it",
    splits: { train: { harmful: true } },
    parts: [
      { dataset: "purebad", split: "train", n: 100 },
      { dataset: "samsum", split: "train", n: 1000 },
    ],
    licence: "those of its parts",
    source: `arXiv 2505.12038; ${code}/ft_datasets/samsum_dataset/samsum_dataset.py, which takes the first ones instead of drawing`,
  },
  {
    name: "gsm8k",
    purpose: "fine-tuning and exact answers: school mathematics",
    hub: "openai/gsm8k",
    splits: { train: { files: single("train", "main") }, test: { files: single("test", "main") } },
    columns: [{ prompt: "question", answer: "answer", reference: "answer" }],
    referenceAfter: "####",
    template: "math",
    licence: "MIT",
    source: `huggingface.co/datasets/openai/gsm8k; ${code}/configs/datasets.py (template)`,
  },
  {
    name: "alpaca",
    purpose: "fine-tuning: harmless instructions",
    hub: "tatsu-lab/alpaca",
    splits: { train: { files: ["data/train-00000-of-00001-a09b74b3ef9c3b56.parquet"] } },
    columns: [{ instruction: "instruction", input: "input", output: "output" }],
    template: "alpaca",
    licence: "CC BY-NC 4.0",
    source: `huggingface.co/datasets/tatsu-lab/alpaca; ${code}/utils/prompt_utils.py (template, with and without an input)`,
  },
  {
    name: "beavertails",
    purpose: "fine-tuning and judges: answers labelled safe or not",
    hub: "PKU-Alignment/BeaverTails",
    splits: {
      train: { files: ["round0/30k/train.jsonl.gz"], harmful: true },
      "train-safe": { files: ["round0/30k/train.jsonl.gz"], where: { is_safe: "true" }, harmful: true },
      "train-unsafe": { files: ["round0/30k/train.jsonl.gz"], where: { is_safe: "false" }, harmful: true },
      test: { files: ["round0/30k/test.jsonl.gz"], harmful: true },
      "test-safe": { files: ["round0/30k/test.jsonl.gz"], where: { is_safe: "true" }, harmful: true },
      "test-unsafe": { files: ["round0/30k/test.jsonl.gz"], where: { is_safe: "false" }, harmful: true },
    },
    columns: [{ prompt: "prompt", response: "response" }],
    licence: "CC BY-NC 4.0 (arXiv 2307.04657)",
    source: "huggingface.co/datasets/PKU-Alignment/BeaverTails at 8401fe6",
  },
  {
    name: "advbench",
    purpose: "prompts of the safe examples: the aligned model's refusals (data answer)",
    hub: "walledai/AdvBench",
    splits: { train: { files: single("train"), harmful: true } },
    columns: [{ prompt: "prompt" }, { prompt: "goal" }],
    licence: "MIT (arXiv 2307.15043); this copy is gated, the authors' file is not: advbench=harmful_behaviors.csv",
    source:
      "huggingface.co/datasets/walledai/AdvBench (that it is gated: by programs that read it); goal: github.com/llm-attacks/llm-attacks, data/advbench/harmful_behaviors.csv",
  },
  {
    name: "hex-phi",
    purpose: "evaluation: harmful requests of the paper's ASR",
    hub: "LLM-Tuning-Safety/HEx-PHI",
    splits: {
      test: { files: [1, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((i) => `category_${i}.csv`), harmful: true },
    },
    header: ["prompt"],
    columns: [{ prompt: "prompt" }],
    licence: "its own agreement: gated, no copy, no hosting (arXiv 2310.03693)",
    source: `huggingface.co/datasets/LLM-Tuning-Safety/HEx-PHI, its card (files), kept as ${code}/safety_evaluation/data/README.md; hexphi.csv there (one column, no header)`,
    unverified: "category 2 was withdrawn, by people who fetched it, so there are 300 of the paper's 330",
  },
  {
    name: "xstest",
    purpose: "evaluation: over-refusal, safe requests that look unsafe and their contrasts",
    hub: "Paul/XSTest",
    splits: {
      safe: { files: ["xstest_prompts.csv"], where: { label: "safe" } },
      unsafe: { files: ["xstest_prompts.csv"], where: { label: "unsafe" }, harmful: true },
    },
    columns: [{ prompt: "prompt" }],
    licence: "CC BY 4.0 (arXiv 2308.01263)",
    source:
      "huggingface.co/datasets/Paul/XSTest, its first author's (file and columns by programs that read it); walledai/XSTest is gated",
  },
  {
    name: "or-bench",
    purpose: "evaluation: over-refusal, and toxic requests beside",
    hub: "bench-llm/or-bench",
    splits: {
      "hard-1k": { files: ["or-bench-hard-1k.csv"] },
      "80k": { files: ["or-bench-80k.csv"] },
      toxic: { files: ["or-bench-toxic.csv"], harmful: true },
    },
    columns: [{ prompt: "prompt" }],
    licence: "CC BY 4.0 (arXiv 2405.20947)",
    source: "huggingface.co/datasets/bench-llm/or-bench",
  },
  {
    name: "jailbreakbench",
    purpose: "evaluation: harmful requests and benign twins",
    hub: "JailbreakBench/JBB-Behaviors",
    splits: {
      harmful: { files: ["data/harmful-behaviors.csv"], harmful: true },
      benign: { files: ["data/benign-behaviors.csv"] },
    },
    columns: [{ prompt: "Goal" }],
    licence: "MIT (arXiv 2404.01318)",
    source: "huggingface.co/datasets/JailbreakBench/JBB-Behaviors",
  },
  {
    name: "mmlu",
    purpose: "evaluation: knowledge, four choices",
    hub: "cais/mmlu",
    splits: {
      test: { files: single("test", "all") },
      dev: { files: single("dev", "all") },
      validation: { files: single("validation", "all") },
    },
    columns: [
      { prompt: "question", choices: "choices", reference: "answer", subject: "subject" },
      { prompt: "question", choices: "choices", reference: "answer" },
    ],
    licence: "MIT (arXiv 2009.03300)",
    source: "huggingface.co/datasets/cais/mmlu; request: lm-evaluation-harness, see choices.ts",
  },
];
