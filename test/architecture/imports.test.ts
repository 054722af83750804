import { describe, expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { Glob } from "bun";
import { forbiddenImports, type Source, undeclaredOrUnused, type Workspace } from "./imports.ts";

/** Who may import whom: the table of docs/architecture.md. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  engine: [],
  checkpoint: [],
  tokenizer: [],
  data: [],
  core: ["engine"],
  model: ["engine", "checkpoint"],
  training: ["model", "engine"],
  mlc: ["checkpoint", "model"],
  pipeline: ["core", "model", "training", "mlc", "checkpoint", "tokenizer", "data", "engine"],
  evaluation: ["tokenizer", "data", "model"],
  report: [],
  experiment: ["data", "evaluation", "report"],
  serving: ["model", "tokenizer"],
  playground: ["engine", "checkpoint", "core", "model", "tokenizer", "serving", "mlc", "report"],
  cli: [
    "engine",
    "checkpoint",
    "tokenizer",
    "data",
    "model",
    "mlc",
    "training",
    "pipeline",
    "evaluation",
    "report",
    "experiment",
    "serving",
    "playground",
  ],
  bench: ["engine", "core", "model", "pipeline"],
};

const root = resolve(import.meta.dir, "../..");
const scope = "@safedelta/";

/** Files below `folder` that match, from the root, installed packages left out. */
function filesIn(pattern: string): string[] {
  return [...new Glob(pattern).scanSync(root)].filter((path) => !path.includes("node_modules/")).sort();
}

async function readWorkspace(file: string): Promise<Workspace> {
  const { name, dependencies = {}, devDependencies = {} } = await Bun.file(join(root, file)).json();
  const ours = Object.keys({ ...dependencies, ...devDependencies }).filter((key) => key.startsWith(scope));
  return {
    name: name.slice(scope.length),
    folder: file.slice(0, -"/package.json".length),
    dependencies: ours.map((key) => key.slice(scope.length)),
  };
}

function readSources(folder: string): Promise<Source[]> {
  const paths = filesIn(`${folder}/**/*.{ts,tsx,mts,cts}`);
  return Promise.all(paths.map(async (path) => ({ path, text: await Bun.file(join(root, path)).text() })));
}

const workspaces = await Promise.all(
  ["{engine,cli,bench}/package.json", "packages/*/package.json"].flatMap(filesIn).map(readWorkspace),
);

test("every package stands in the table and is named like its folder", () => {
  expect(workspaces.length).toBeGreaterThanOrEqual(11);
  for (const { name, folder } of workspaces) {
    expect(Object.keys(mayImport)).toContain(name);
    expect(folder.split("/").at(-1)).toBe(name);
  }
});

for (const workspace of workspaces) {
  describe(workspace.folder, async () => {
    const sources = await readSources(workspace.folder);
    test("imports only what the table allows", () => {
      expect(sources.flatMap((source) => forbiddenImports(source, workspace, mayImport[workspace.name]))).toEqual([]);
    });
    test("declares the packages that it imports, and no others", () => {
      expect(undeclaredOrUnused(workspace, sources)).toEqual([]);
    });
  });
}

/** Ways to import core that a file of evaluation must not find open. */
const plants: Record<string, string> = {
  import: 'import { prepare } from "@safedelta/core";',
  "import of a default, single quotes": "import core from '@safedelta/core'",
  "import over several lines": 'import {\n  type Plan,\n  prepare,\n} from\n  "@safedelta/core";',
  "import for its effects": 'import "@safedelta/core";',
  "import type": 'import type { Plan } from "@safedelta/core";',
  "type in braces": 'import { type Plan } from "@safedelta/core";',
  "export from": 'export { prepare } from "@safedelta/core";',
  "export all": 'export * as core from "@safedelta/core";',
  "export type": 'export type * from "@safedelta/core";',
  "import()": 'const core = await import("@safedelta/core");',
  "import() with a comment": 'const core = await import(/* later */ "@safedelta/core");',
  "import() over several lines": "const core = await import(\n  `@safedelta/core`\n);",
  "import() as a type": 'let plan: import("@safedelta/core").Plan;',
  "import() of a computed name": "const core = await import(name);",
  "import() of a template": `const core = await import(\`@safedelta/\${name}\`);`,
  require: 'const core = require("@safedelta/core");',
  "import = require": 'import core = require("@safedelta/core");',
  "a path inside": 'import { rank } from "@safedelta/core/src/select.ts";',
  "a relative path": 'import { prepare } from "../../core/src/index.ts";',
  "a relative path as a type": 'import type { Plan } from "../../../packages/core/src/index.ts";',
  "an absolute path": 'import { prepare } from "/somewhere/core/src/index.ts";',
};

describe("a planted import is reported", () => {
  const evaluation: Workspace = { name: "evaluation", folder: "packages/evaluation", dependencies: ["data"] };
  const planted = (text: string): Source => ({ path: "packages/evaluation/src/judge.ts", text });

  for (const [what, text] of Object.entries(plants)) {
    test(what, () => {
      expect(forbiddenImports(planted(text), evaluation, mayImport.evaluation).length).toBe(1);
    });
  }

  test("what is allowed is not reported", () => {
    const text = `
      import { join } from "node:path";
      import type { Row } from "@safedelta/data";
      import { wilson } from "./wilson.ts";
      import { rate } from "../src/rate.ts";
      const { parse } = await import("yaml");
      const here = import.meta.dir; // unlike import()
      const where = "/not/an/import";`;
    expect(forbiddenImports(planted(text), evaluation, mayImport.evaluation)).toEqual([]);
    expect(undeclaredOrUnused(evaluation, [planted(text)])).toEqual([]);
  });

  test("package.json must agree with the sources", () => {
    const source = planted('import type { Chat } from "@safedelta/model";');
    expect(undeclaredOrUnused(evaluation, [source])).toEqual([
      "packages/evaluation/package.json: imports @safedelta/model without declaring it",
      "packages/evaluation/package.json: declares @safedelta/data without importing it",
    ]);
  });
});
