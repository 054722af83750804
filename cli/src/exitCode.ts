import { CheckpointError } from "@safedelta/checkpoint";
import { DataError } from "@safedelta/data";
import { EngineMemoryError, EngineUnavailableError, NotPositiveDefiniteError } from "@safedelta/engine";
import { ModelError } from "@safedelta/model";
import { PipelineError } from "@safedelta/pipeline";
import { TokenizerError } from "@safedelta/tokenizer";

/** Exit codes of every command. */
export const exitCode = {
  done: 0,
  failure: 1,
  usage: 2,
  incompatible: 4,
  resources: 5,
  /** 128 + the signal: SIGINT, SIGPIPE, SIGTERM. */
  interrupted: 130,
  brokenPipe: 141,
  terminated: 143,
} as const;

/** Wrong flags, arguments or recipe. Data that cannot be read count as such, since they are named by a flag. */
export class UsageError extends Error {
  override name = "UsageError";
}

const pipelineCodes = {
  usage: exitCode.usage,
  incompatible: exitCode.incompatible,
  resources: exitCode.resources,
  failed: exitCode.failure,
} as const;

/** The exit code that says what kind of thing went wrong. */
export function codeOf(error: unknown): number {
  if (error instanceof UsageError || error instanceof DataError) return exitCode.usage;
  if (error instanceof PipelineError) return pipelineCodes[error.kind];
  if (error instanceof CheckpointError) return checkpointCode(error);
  if (error instanceof EngineMemoryError) return exitCode.resources;
  if (error instanceof ModelError || error instanceof TokenizerError) return exitCode.incompatible;
  if (error instanceof NotPositiveDefiniteError) return exitCode.incompatible;
  return exitCode.failure;
}

function checkpointCode(error: CheckpointError): number {
  if (error.kind === "disk-full") return exitCode.resources;
  return error.kind === "io" ? exitCode.failure : exitCode.incompatible;
}

const expected = [
  CheckpointError,
  DataError,
  EngineUnavailableError,
  ModelError,
  PipelineError,
  TokenizerError,
  UsageError,
];

/** True for errors that explain themselves, so that no stack trace is needed. */
export function explainsItself(error: unknown): boolean {
  return error instanceof EngineMemoryError || expected.some((kind) => error instanceof kind);
}
