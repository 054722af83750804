import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { succeed } from "./run.ts";

setDefaultTimeout(300_000); // children wait for their turn

const root = join(import.meta.dir, "..", "..");
const text = await Bun.file(join(root, "docs", "command-line.md")).text();
/** A command's line in the usage; the groups' own lines have no flags. */
const usageLine = /^ {2}safedelta ((?:(?:data|export) )?[a-z]+)( \[--json.*)$/gm;
/** Flags of each command, as the usage lines of --help list them. */
const flags = new Map<string, Set<string>>();

function flagsIn(words: string): string[] {
  return [...words.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)].map(([flag]) => flag);
}

beforeAll(async () => {
  const { stdout } = await succeed(root, ["--help"]);
  const data = await succeed(root, ["data", "--help"]);
  const others = await succeed(root, ["export", "--help"]);
  for (const [, name, usage] of `${stdout}\n${data.stdout}\n${others.stdout}`.matchAll(usageLine))
    flags.set(name, new Set([...flagsIn(usage), "--no-progress", "--no-color", "--help"]));
});

/** Flags whose opposite is the interesting one. */
const negated = ["--progress", "--color"];

describe("docs/command-line.md", () => {
  test("names every command and every flag", () => {
    expect(flags.size).toBe(25);
    const told = new Set(flagsIn(text));
    const all = [...flags.values()].flatMap((own) => [...own]);
    expect(all.filter((flag) => !told.has(flag) && !negated.includes(flag))).toEqual([]);
    for (const name of flags.keys()) expect(text).toMatch(new RegExp(`^\\| .*\`${name}\\b`, "m"));
  });

  test("names no flag that does not exist", () => {
    const known = new Set([...flags.values()].flatMap((own) => [...own]));
    expect(flagsIn(text).filter((flag) => !known.has(flag))).toEqual([]);
  });

  test("has one example of each command, with flags that it has", () => {
    const examples = [...text.matchAll(/^ {4}bun run safedelta ((?:(?:data|export) )?[a-z]+)(.*)$/gm)];
    expect(examples.map(([, name]) => name).sort()).toEqual([...flags.keys()].sort());
    for (const [, name, rest] of examples)
      expect({ name, unknown: flagsIn(rest).filter((flag) => !flags.get(name)?.has(flag)) }).toEqual({
        name,
        unknown: [],
      });
  });

  test("the table of flags tells which command has them", () => {
    const rows = [...text.matchAll(/^\| (`--.*?) \| (.*?) \| .* \|$/gm)];
    expect(rows.length).toBeGreaterThan(25);
    for (const [, names, commands] of rows) {
      const own = commands.split(", ").filter((name) => flags.has(name));
      for (const name of own) {
        const unknown = flagsIn(names).filter((flag) => !flags.get(name)?.has(flag));
        expect({ name, unknown }).toEqual({ name, unknown: [] });
      }
    }
  });

  test("README links to what is there, and its rows on SmolLM2 are those of the results", async () => {
    const readme = await Bun.file(join(root, "README.md")).text();
    const links = [...readme.matchAll(/\]\(([\w./-]+)(?:#[\w-]+)?\)/g)].map(([, path]) => path);
    expect(links).toContain("docs/results/smollm2.md");
    for (const path of links)
      expect({ path, exists: await Bun.file(join(root, path)).exists() }).toEqual({ path, exists: true });
    const results = await Bun.file(join(root, "docs/results/smollm2.md")).text();
    const rows = readme.match(/^\| .* \| \d\.\d\d \(.*\) \|$/gm) ?? [];
    expect(rows.length).toBeGreaterThan(5);
    for (const row of rows) expect(results).toContain(row);
    const verdict = /No budget alone restores the refusal\s+and keeps the task/;
    expect(results).toMatch(verdict);
    expect(readme).toMatch(verdict);
  });

  test("README's examples have flags that exist", async () => {
    const readme = await Bun.file(join(root, "README.md")).text();
    for (const [, name, rest] of readme.matchAll(
      /^ {4}(?:npx -y bun@\S+|bun) run safedelta ((?:(?:data|export) )?[a-z]+)(.*?)(?: #.*)?$/gm,
    ))
      expect({ name, unknown: flagsIn(rest).filter((flag) => !flags.get(name)?.has(flag)) }).toEqual({
        name,
        unknown: [],
      });
  });
});
