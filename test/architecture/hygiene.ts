/** One tracked file: its path from the root of the repository, and its bytes as latin1 text, so that binaries are searched too. */
export interface TrackedFile {
  readonly path: string;
  readonly text: string;
}

/** A rule gives each line (or thing) of a file that breaks it, shortened. */
export type Rule = (file: TrackedFile) => string[];

/** Lines that a pattern is found in. */
function linesWith(pattern: RegExp): Rule {
  return ({ text }) =>
    text
      .split("\n")
      .filter((line) => pattern.test(line))
      .map((line) => pattern.exec(line)?.[0].slice(0, 80) ?? "");
}

/** Absolute paths of somebody's machine. */
const machinePath = /(?<![\w.}*-])(?:\/(?:work|root|home\/[\w-]+|Users\/[\w-]+)\/[\w.@-]|[A-Z]:\\Users\\)/;

/** Hosts of package registries: where packages come from is the user's own setting. */
const registryHost =
  /https?:\/\/[\w.-]*(?:npmjs|yarnpkg|crates\.io|pypi|pythonhosted|proxy\.golang|artifactory|jfrog)|\b(?:registry\.npmjs|registry\.yarnpkg|static\.crates|index\.crates|files\.pythonhosted)\./;

/** Words that speak of how the project is made rather than of the project. */
const makingOf =
  /\bsessions?\b|\bissues? ?#?\d+|\bsub-?agents?\b|\b(?:claude|anthropic|copilot)\b|\b(?:written|generated|made) (?:by|with) (?:an? )?(?:AI|LLM|assistant)\b/i;

const loose = /\b(?:TODO|FIXME|XXX)\b/;

const secret = /\bhf_[A-Za-z0-9]{20,}|\bgh[ps]_[A-Za-z0-9]{20,}|\bsk-[A-Za-z0-9-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY/;

/** Most lines of code in a source file, blank ones and comments left out. */
const mostLines = 400;

function tooLong({ path, text }: TrackedFile): string[] {
  if (!/\.(ts|rs)$/.test(path)) return [];
  const code = text.split("\n").filter((line) => !/^\s*(\/\/|\/?\*|$)/.test(line));
  return code.length > mostLines ? [`${code.length} lines of code`] : [];
}

/** Dependencies of a package.json that are neither one exact version nor a package of this workspace. */
function inexactVersions({ path, text }: TrackedFile): string[] {
  if (path.split("/").at(-1) !== "package.json") return [];
  const { dependencies = {}, devDependencies = {}, optionalDependencies = {} } = JSON.parse(text);
  const versions = Object.entries<string>({ ...dependencies, ...devDependencies, ...optionalDependencies });
  const exact = /^(\d+\.\d+\.\d+(-[\w.]+)?|workspace:\*)$/;
  return versions.filter(([, version]) => !exact.test(version)).map(([name, version]) => `${name} ${version}`);
}

/** Every rule by what it forbids. */
export const rules: Readonly<Record<string, Rule>> = {
  "machine paths": linesWith(machinePath),
  "registry hosts": linesWith(registryHost),
  "words on how the project is made": linesWith(makingOf),
  "work left for later": linesWith(loose),
  secrets: linesWith(secret),
  "long source files": tooLong,
  "versions that are not exact": inexactVersions,
};
