/**
 * What went wrong with a file of tensors:
 * `format` a file breaks its format's rules · `missing` a file or tensor that others refer to is absent · `incompatible` two
 * inputs do not belong together · `io` the operating system refused · `unsupported` valid, but not read here · `not-found`
 * nothing has the name asked for · `disk-full` no space left while writing.
 */
export type CheckpointErrorKind =
  | "format"
  | "missing"
  | "incompatible"
  | "io"
  | "unsupported"
  | "not-found"
  | "disk-full";

/** Where an error happened. */
export interface CheckpointErrorPlace {
  readonly file?: string;
  readonly tensor?: string;
  readonly cause?: unknown;
}

/** The one error type of this package. The message says what, where, why and what to do next. */
export class CheckpointError extends Error {
  override readonly name = "CheckpointError";
  readonly file?: string;
  readonly tensor?: string;

  constructor(
    readonly kind: CheckpointErrorKind,
    message: string,
    place: CheckpointErrorPlace = {},
  ) {
    super(message, { cause: place.cause });
    this.file = place.file;
    this.tensor = place.tensor;
  }
}

/** The errno name ("ENOENT", …) of a system error, or undefined. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}

/** Whether a path leads nowhere: the name is absent, or what should be a folder on the way is a file. */
export function isAbsent(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR"].includes(errorCode(error) ?? "");
}

/** Turns a system error into a `CheckpointError`; one that is already typed passes unchanged. `action` reads "cannot `action`". */
export function asCheckpointError(error: unknown, action: string, file: string): CheckpointError {
  if (error instanceof CheckpointError) return error;
  const code = errorCode(error);
  const place = { file, cause: error };
  if (code === "ENOSPC" || code === "EDQUOT")
    return new CheckpointError(
      "disk-full",
      `${file}: cannot ${action}: no space left on the disk; free space and run again`,
      place,
    );
  if (code === "ENOENT")
    return new CheckpointError("not-found", `${file}: cannot ${action}: there is no such file`, place);
  const reason = error instanceof Error ? error.message : String(error);
  return new CheckpointError("io", `${file}: cannot ${action}: ${reason}`, place);
}

/** Runs `work` and turns any system error into a `CheckpointError` naming `file`. */
export async function guardIo<T>(action: string, file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asCheckpointError(error, action, file);
  }
}
