export type { AnswerOptions, ChatModel } from "./chat.ts";
export { EvaluationError } from "./errors.ts";
export { type EvaluatedExample, type Evaluation, evaluate } from "./evaluate.ts";
export { keywordAsr, twentyNineRefusalPhrases } from "./keywords.ts";
export { type LocalChatOptions, localChat } from "./localChat.ts";
export { containsPhrase, type Example, exactAnswer, type Metric, matchesPattern } from "./metrics.ts";
export { type Rate, wilson } from "./wilson.ts";
