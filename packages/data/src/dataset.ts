import type { Mapping } from "./load.ts";
import type { systemPrompts } from "./systemPrompts.ts";

/** A part of a data set. */
export interface Split {
  /** Paths inside the repository on the Hub; all of them make the split. */
  readonly files?: readonly string[];
  /** Only these records of the files. */
  readonly where?: Mapping;
  /** Its requests or answers do harm: shown on demand only. */
  readonly harmful?: true;
}

/** A share of a mixture. */
export interface Part {
  readonly dataset: string;
  readonly split: string;
  readonly n: number;
}

/** A data set as it is published, and how its records become conversations. */
export interface Dataset {
  readonly name: string;
  /** What it is for. */
  readonly purpose: string;
  /** `org/name` on the Hub; absent where there is none: the user brings the file. */
  readonly hub?: string;
  /** By name; the first is meant where none is named. */
  readonly splits: Readonly<Record<string, Split>>;
  /** Instead of files: what is drawn from other data sets. */
  readonly parts?: readonly Part[];
  /** Our names to its columns; of several, the first that a record has. Recognised by shape where absent. */
  readonly columns?: readonly Mapping[];
  /** Column names, of CSV files without a header. */
  readonly header?: readonly string[];
  /** The request around each prompt, which stands where `%s` is. */
  readonly request?: string;
  /** The reference is what follows this mark in its column. */
  readonly referenceAfter?: string;
  /** It is known to have records without a prompt, which are left out and counted. */
  readonly hasBlanks?: true;
  /** The system prompt under which the official code puts it, in place of its own. */
  readonly template?: keyof typeof systemPrompts;
  readonly licence: string;
  /** Where files, columns, request and template were read. */
  readonly source: string;
  /** What could not be read there. */
  readonly unverified?: string;
}
