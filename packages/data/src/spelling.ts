import type { Dataset, Split } from "./dataset.ts";
import { datasets } from "./datasets.ts";
import { DataError } from "./errors.ts";
import { parseReading, type Reading } from "./reading.ts";
import { suggest } from "./suggest.ts";

/** A file of a data set on the Hub. */
export interface HubPath {
  readonly repo: string;
  readonly revision: string;
  readonly path: string;
}

/** What a data source's spelling means, and how it says that it is read. `files` of a named one: the user's own, in place of the Hub's. */
export type Spelled = Place & { readonly reading: Reading };

type Place =
  | { readonly kind: "file"; readonly file: string }
  | { readonly kind: "hub"; readonly file: HubPath }
  | {
      readonly kind: "named";
      readonly dataset: Dataset;
      readonly splitName: string;
      readonly split: Split;
      readonly files?: readonly string[];
    };

/** How data are named, for errors and help. */
export const spellings =
  "FILE, NAME[/SPLIT], NAME[/SPLIT]=FILE[,FILE], or hf://datasets/ORG/REPOSITORY[@REVISION]/FILE; behind each, how it is read: " +
  "#prompt=COLUMN,answer=COLUMN,where.COLUMN=VALUE,template=NAME";

/**
 * Read the name of a data source. @param exists whether a local file is there: it wins over a data set of the same name, and over "#"
 * @throws DataError for a split that is not there, a Hub file that is misspelt, a name that means nothing, and as `parseReading`
 */
export function parseSpelling(spelling: string, exists: (path: string) => boolean): Spelled {
  const [, place = spelling, words] = (exists(spelling) ? null : /^(.+)#([^#/]*=[^#/]*|[^#/.]*)$/.exec(spelling)) ?? [];
  return { ...placeOf(place, exists), reading: words === undefined ? {} : parseReading(spelling, words) };
}

function placeOf(spelling: string, exists: (path: string) => boolean): Place {
  if (spelling.startsWith("hf://")) return { kind: "hub", file: parseHub(spelling) };
  if (exists(spelling)) return { kind: "file", file: spelling };
  const [, word = "", splitName, files] = /^([\w-]+)(?:\/([\w-]+))?(?:=(.+))?$/.exec(spelling) ?? [];
  const dataset = datasets.find(({ name }) => name === word);
  if (dataset === undefined) return { kind: "file", file: refuseWord(spelling, word, splitName ?? files) };
  return { kind: "named", ...splitOf(dataset, splitName), files: files?.split(",") };
}

function parseHub(spelling: string): HubPath {
  const form = /^hf:\/\/datasets\/([\w.-]+\/[\w.-]+)(?:@([^/]+))?\/(.+)$/;
  const [, repo, revision = "main", path] = form.exec(spelling) ?? [];
  if (repo !== undefined && path !== undefined) return { repo, revision: decodeURIComponent(revision), path };
  throw new DataError(
    spelling,
    undefined,
    "is no file of the Hub. Write hf://datasets/ORG/REPOSITORY[@REVISION]/FILE.",
  );
}

/** A word alone, or before "=", can only be a name; what has an ending or a folder is a file that is missing. */
function refuseWord(spelling: string, word: string, rest: string | undefined): string {
  if (word === "" || (rest !== undefined && !spelling.includes("="))) return spelling;
  const known = datasets.map(({ name }) => name);
  throw new DataError(
    spelling,
    undefined,
    `there is no such file, and no data set is called "${word}".${suggest(word, known)} Known: ${known.join(", ")}.`,
  );
}

function splitOf(dataset: Dataset, wanted = Object.keys(dataset.splits)[0]) {
  if (Object.hasOwn(dataset.splits, wanted)) return { dataset, splitName: wanted, split: dataset.splits[wanted] };
  const known = Object.keys(dataset.splits);
  throw new DataError(
    dataset.name,
    undefined,
    `has no split "${wanted}".${suggest(wanted, known)} It has: ${known.join(", ")}.`,
  );
}
