export type { AnswerOptions, ChatModel, Message } from "./chat.ts";
export { EvaluationError } from "./errors.ts";
export { type EvaluatedExample, type Evaluation, evaluate } from "./evaluate.ts";
export { keywordAsr, twentyNineRefusalPhrases } from "./keywords.ts";
export { containsPhrase, type Example, exactAnswer, type Metric, matchesPattern } from "./metrics.ts";
export { type PairedDifference, pairedDifference } from "./pairedDifference.ts";
export { type Rate, wilson } from "./wilson.ts";
