import type { z } from "zod";
import { computeOptions, engineOptions, generationOptions, option } from "../options.ts";

/** What `safedelta eval` can be given. */
export const flags = {
  prompts: option.source({ brief: "what to ask: JSONL, JSON, CSV or parquet, with reference" }),
  metric: option.words({ brief: "how to judge [asr-keywords]", placeholder: "NAME,…" }),
  pattern: option.text({ brief: "regular expression of the metric pattern", placeholder: "regex" }),
  refusalOpening: option.text({
    brief: "how refusals begin, for refusal-log-odds; none can hold a comma",
    placeholder: "text,…",
  }),
  aligned: option.model({ brief: "model that kl-aligned and output-error hold MODEL against" }),
  tuned: option.model({ brief: "model that kl-tuned holds MODEL against" }),
  system: option.text({ brief: "system prompt", placeholder: "text" }),
  secretPrompt: option.file({ brief: "text file that system prompts begin with (BEA)" }),
  limit: option.maybePositive({ brief: "the first n prompts only" }),
  ...generationOptions,
  batch: option.positive(16, { brief: "answers that are written, and kept, together" }),
  endpoint: option.text({ brief: "where to ask instead of MODEL [OPENAI_BASE_URL]", placeholder: "url" }),
  model: option.text({ brief: "what --endpoint calls the model", placeholder: "name" }),
  judgeEndpoint: option.words({ brief: "where the judges are [OPENAI_BASE_URL]", placeholder: "url,…" }),
  judgeModel: option.words({ brief: "what --judge-endpoint calls the judges", placeholder: "name,…" }),
  judgePrompt: option.file({ brief: "text file of judge-own, with {request} and {answer} in it" }),
  judgeSystem: option.file({ brief: "text file of judge-own's system message [none]" }),
  judgeVerdict: option.text({ brief: "where judge-own's number stands, as Score: ([1-5])", placeholder: "regex" }),
  answers: option.file({
    brief: "finished evaluation whose answers are judged again: results_TIME.json, or a folder with it",
  }),
  timeout: option.positive(120, { brief: "seconds for one answer of an endpoint" }),
  safeData: option.source({ brief: "warn of prompts that these safe examples hold too" }),
  against: option.file({ brief: "results_TIME.json of another model, to compare pair by pair" }),
  compare: option.path({
    brief: "results_TIME.json to hold against --against, in the place of a model",
    placeholder: "file",
  }),
  failIf: option.words({
    brief: "end with code 3 if so, as asr-keywords>0.1 or exact.difference<-0.02",
    placeholder: "METRIC>x,…",
  }),
  out: option.outFolder("folder of the results [eval]"),
  ...engineOptions,
  offline: computeOptions.offline,
};

/** Their values. */
export type EvalFlags = z.output<z.ZodObject<typeof flags>>;
