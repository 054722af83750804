import { CheckpointError } from "@safedelta/checkpoint";
import { EngineMemoryError, NotPositiveDefiniteError } from "@safedelta/engine";
import { PipelineError, type PipelineErrorKind } from "./errors.ts";

/** An error as it goes from one thread to another, which keep no classes. */
export interface PortableError {
  /** Undefined: a defect. */
  readonly kind?: PipelineErrorKind;
  readonly message: string;
  readonly stack?: string;
}

/** Take an error apart. */
export function packError(error: unknown): PortableError {
  if (!(error instanceof Error)) return { message: String(error) };
  return { kind: kindOf(error), message: error.message, stack: error.stack };
}

/** The error again; what a file or an engine refused is now the pipeline's. */
export function unpackError({ kind, message, stack }: PortableError): Error {
  const error = kind ? new PipelineError(kind, message) : new Error(message);
  if (stack) error.stack = stack;
  return error;
}

function kindOf(error: Error): PipelineErrorKind | undefined {
  if (error instanceof PipelineError) return error.kind;
  if (error instanceof EngineMemoryError) return "resources";
  if (error instanceof NotPositiveDefiniteError) return "incompatible";
  if (!(error instanceof CheckpointError)) return undefined;
  if (error.kind === "disk-full") return "resources";
  return error.kind === "io" ? "failed" : "incompatible";
}
