export { type JudgeAgreement, judgeAgreements } from "./agreement.ts";
export { type BootstrapOptions, bootstrapMean, type Mean, pairedBootstrap } from "./bootstrap.ts";
export { type AnswerOptions, askAll, type ChatModel, type Drawing } from "./chat.ts";
export {
  type Comparison,
  compareResults,
  type Finished,
  sharedMetrics,
  type Unlike,
  unlikeMetrics,
  unsharedMetrics,
} from "./compare.ts";
export { EndpointError, type EndpointErrorKind, type EndpointOptions, endpointChat } from "./endpoint.ts";
export { EvaluationError } from "./errors.ts";
export { type Gate, type MissedGate, missedGates, parseGate } from "./gate.ts";
export { givenChat } from "./givenChat.ts";
export { gsm8kAnswer } from "./gsm8k.ts";
export { checkExamples, type Judged, judgeAnswers } from "./judge.ts";
export type { JudgeFormat } from "./judgeFormat.ts";
export { judgedBy, judgeFormats } from "./judges.ts";
export { type Agreement, cohensKappa } from "./kappa.ts";
export { type KeptOptions, keptChat } from "./keptChat.ts";
export { caseRemark, keywordAsr, twentyNineRefusalPhrases } from "./keywords.ts";
export { choiceLogLikelihoods, klDivergence, logOdds } from "./likelihood.ts";
export { type LocalChatOptions, localChat } from "./localChat.ts";
export { type McNemar, mcnemar } from "./mcnemar.ts";
export { mean } from "./mean.ts";
export { containsPhrase, type Example, exactAnswer, type Metric, matchesPattern } from "./metrics.ts";
export {
  type Beside,
  klScorer,
  mmluQuestion,
  mmluScorer,
  modelMetrics,
  type Opened,
  outputErrorScorer,
  refusalLogOdds,
  refusalOpenings,
} from "./modelScorers.ts";
export { type JudgeWords, ownJudge, ownJudgeName } from "./ownJudge.ts";
export { neededPerGroup, type PowerOptions, smallestDifference } from "./power.ts";
export { isResultsName, type Results, readResults, resultsAt, type Sample, saveResults } from "./results.ts";
export { type Rouge, rougeOfCounts, rougeOfSets } from "./rouge.ts";
export {
  type Judgement,
  type MetricSummary,
  plainScorers,
  rateScorer,
  type Scorer,
  type Settings,
  summarise,
} from "./scorer.ts";
export { type Answered, askTurns } from "./turns.ts";
export { type Rate, wilson } from "./wilson.ts";
