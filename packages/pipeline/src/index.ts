export { hasDial } from "@safedelta/core";
export { type ApplyPlan, apply, checkOptions as checkApply, type Describe, planApply } from "./apply.ts";
export { applyAdapter, planApplyAdapter } from "./applyAdapter.ts";
export type {
  AnyOptions,
  ApplyFacts,
  ApplyOptions,
  LinearFacts,
  ModelFacts,
  RivalOptions,
  SafeExamples,
  SafeSource,
} from "./applyOptions.ts";
export { sourceAccess } from "./dataSource.ts";
export { diffModels, type TensorDiff } from "./diff.ts";
export { PipelineError, type PipelineErrorKind } from "./errors.ts";
export { type ApplyEstimate, estimateModel, type PrepareEstimate } from "./estimate.ts";
export { type ExportMlcFacts, type ExportMlcOptions, exportMlc, planExportMlc } from "./exportMlc.ts";
export { guardFile, removeQuietly, requireDisk, sha256OfFile } from "./files.ts";
export { checkRecipe } from "./finetune/checkRecipe.ts";
export { type DescribeTraining, finetune, type PlannedFinetuning, planFinetune } from "./finetune/finetune.ts";
export type { FinetuneFacts, FinetuneOptions, LogEntry } from "./finetune/options.ts";
export type { FinetunePlan } from "./finetune/plan.ts";
export { responseTokens } from "./finetune/responseTokens.ts";
export type { SafetyMix, SafetyMixFacts } from "./finetune/safetyMix.ts";
export { readSecretPrompt, requireSystemPrompts, withSecretPrompt } from "./finetune/secretPrompt.ts";
export { type NewFile, requireFreeFile, writeWhole } from "./freeFile.ts";
export { type LayerFacts, type LayerOptions, repairLayerFile } from "./layer.ts";
export { isLocked, lockFolder } from "./lock.ts";
export { peakResidentBytes } from "./memory.ts";
export { hashModel, type OpenedModel, openModelFiles, openModelTokenizer } from "./models.ts";
export { requirePair } from "./pair.ts";
export {
  hessianGroups,
  modesOf,
  optimalPart,
  type Parts,
  partWords,
  planParts,
  type StatePart,
  servedModes,
} from "./parts.ts";
export { type PrepareOptions, type PreparePlan, planPrepare, prepare } from "./prepare.ts";
export { type Progress, silent, tellOpening } from "./progress.ts";
export { type RivalChoice, type RivalMethod, thirdModel } from "./rivals.ts";
export { assumedDevice, type Device, deviceNames, devicesHere, roofline, type Stage } from "./roofline.ts";
export { type RepairCheck, runSelfTest, type SelfTestReport } from "./selftest.ts";
export { type DataFacts, type DataOptions, readSequences, type Sequences } from "./sequences.ts";
export { shellLine } from "./shell.ts";
export { type GroupSpectrum, readSpectra, type StateSpectra } from "./spectra.ts";
export { openState, type State, type StateManifest, stateFormat } from "./state.ts";
export {
  hashInputs,
  type InputHashes,
  planSweep,
  type SweepLinear,
  type SweepOptions,
  type SweepPoint,
  sweep,
} from "./sweep.ts";
export type { TokenCounting } from "./tokenWeights.ts";
export { whatIsUnfinished } from "./unfinished.ts";
export { outputProblems, type Verification, type VerifyOptions, verifyOutput } from "./verify.ts";
export { isTrainingOutput, verifyTraining } from "./verifyTraining.ts";
export { type EngineStamp, stampOf, toolVersion } from "./version.ts";
export { type WorkUnderWay, workUnderWay } from "./workUnderWay.ts";
