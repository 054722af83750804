import { createHash } from "node:crypto";

/** One turn of a conversation; role is system, user or assistant. */
export interface Message {
  role: string;
  content: string;
}

/** One record of a data set: a conversation and, for tasks that are scored, the right answer beside it. */
export interface Example {
  readonly messages: readonly Message[];
  readonly reference?: string;
  readonly id?: string;
  /** Its request holds an input beside the instruction: some templates have words of their own for it. */
  readonly hasInput?: true;
  /** The file it came from. */
  readonly source: string;
  /** 1-based place in it: line of JSONL, last line of a CSV record, item of a JSON array, row of parquet. */
  readonly line?: number;
}

/**
 * SHA-256 in hex of what the examples say: roles, contents and references in order, as JSON. File, place and id do not count:
 * the same records from another file have the same hash.
 */
export function hashExamples(examples: readonly Example[]): string {
  const content = examples.map(({ messages, reference }) => [
    messages.map((m) => [m.role, m.content]),
    reference ?? null,
  ]);
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}
