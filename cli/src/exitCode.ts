import { CheckpointError } from "@safedelta/checkpoint";
import { DataError } from "@safedelta/data";
import {
  EngineMemoryError,
  EngineSettingError,
  EngineUnavailableError,
  NotPositiveDefiniteError,
} from "@safedelta/engine";
import { EndpointError, EvaluationError } from "@safedelta/evaluation";
import { ExperimentError } from "@safedelta/experiment";
import { ModelError } from "@safedelta/model";
import { PipelineError } from "@safedelta/pipeline";
import { TokenizerError } from "@safedelta/tokenizer";

/** Exit codes of every command. */
export const exitCode = {
  done: 0,
  failure: 1,
  usage: 2,
  /** What --fail-if names has come true. */
  gateMissed: 3,
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
function codeOf(error: unknown): number {
  const isUsage = [UsageError, DataError, EngineSettingError, EvaluationError, ExperimentError].some(
    (kind) => error instanceof kind,
  );
  if (isUsage) return exitCode.usage;
  if (error instanceof PipelineError) return pipelineCodes[error.kind];
  if (error instanceof CheckpointError) return checkpointCode(error);
  if (error instanceof EngineMemoryError) return exitCode.resources;
  if (error instanceof ModelError || error instanceof TokenizerError) return exitCode.incompatible;
  if (error instanceof NotPositiveDefiniteError) return exitCode.incompatible;
  if (isFullDisk(error)) return exitCode.resources;
  return exitCode.failure;
}

function checkpointCode(error: CheckpointError): number {
  if (error.kind === "disk-full") return exitCode.resources;
  return error.kind === "io" ? exitCode.failure : exitCode.incompatible;
}

const expected = [
  CheckpointError,
  DataError,
  EndpointError,
  EngineSettingError,
  EngineUnavailableError,
  EvaluationError,
  ExperimentError,
  ModelError,
  PipelineError,
  TokenizerError,
  UsageError,
];

/** True for errors that explain themselves, so that no stack trace is needed. */
function explainsItself(error: unknown): boolean {
  return error instanceof EngineMemoryError || expected.some((kind) => error instanceof kind);
}

/** What the system says of a full disk where no place of ours has put it into words. */
function isFullDisk(error: unknown): error is NodeJS.ErrnoException {
  return ["ENOSPC", "EDQUOT"].includes((error as NodeJS.ErrnoException)?.code ?? "");
}

/** What is told of an error: its text and the exit code. */
export interface Told {
  readonly text: string;
  readonly code: number;
}

/** An error that a worker has told already. */
export class ToldError extends Error {
  override name = "ToldError";
  constructor(readonly told: Told) {
    super(told.text);
  }
}

export function toldOf(error: unknown, verbose: boolean): Told {
  if (error instanceof ToldError) return error.told;
  const code = codeOf(error);
  if (!(error instanceof Error)) return { text: String(error), code };
  if (verbose) return { text: error.stack ?? error.message, code };
  if (isFullDisk(error)) {
    const where = error.path === undefined ? "" : `${error.path}: `;
    return { text: `${where}no space left on the disk. Free some and run the same command again.`, code };
  }
  const hint = explainsItself(error)
    ? ""
    : "\nThis looks like a defect of safedelta; run again with --verbose for the place.";
  return { text: `${error.message}${hint}`, code };
}
