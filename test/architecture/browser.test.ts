import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Glob } from "bun";
import { reachable, serverOnly } from "./browser.ts";

const root = resolve(import.meta.dir, "../..");
const scope = "@safedelta/";

/** The file that a specifier means in a page: packages of ours by their `browser` condition, or their only entry. */
function inPage(from: string, specifier: string): string | undefined {
  if (specifier.startsWith(".")) return join(dirname(from), specifier);
  if (!specifier.startsWith(scope)) return undefined;
  const [name, ...path] = specifier.slice(scope.length).split("/");
  const folder = name === "engine" ? "engine" : `packages/${name}`;
  const { exports } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
  const entry = exports[[".", ...path].join("/")];
  return join(folder, typeof entry === "string" ? entry : entry.browser);
}

const read = (path: string) => (existsSync(join(root, path)) ? readFileSync(join(root, path), "utf8") : undefined);

/** Where pages enter: our browser entries, and core, which needs none of its own. */
const entries = [
  ...new Glob("{engine,packages/*}/src/browser.ts").scanSync(root),
  "packages/core/src/index.ts",
  "packages/model/src/index.ts",
  "packages/playground/src/page/main.tsx",
  "packages/playground/src/worker/worker.ts",
].sort();

describe("what a page can reach", () => {
  for (const entry of entries) {
    test(`${entry} leads to nothing of Node or Bun`, () => {
      const files = reachable(entry, read, inPage);
      expect(files.length).toBeGreaterThan(2);
      expect(files.flatMap(serverOnly)).toEqual([]);
    });
  }

  test("the method is reached, not copied", () => {
    const paths = reachable("packages/core/src/index.ts", read, inPage).map(({ path }) => path);
    expect(paths).toContain("packages/core/src/optimal.ts");
    expect(paths).toContain("engine/src/browser.ts");
  });
});

describe("a plant is found", () => {
  const plants = {
    node: 'import { readFile } from "node:fs/promises";',
    "node, later": 'const { dlopen } = await import("bun:ffi");',
    bun: 'import { Glob } from "bun";',
    "a name of Bun": "const file = Bun.file(path);",
    "a name of Node": "const bytes = Buffer.concat(parts);",
    process: "const home = process.env.HOME;",
  };
  for (const [what, text] of Object.entries(plants)) {
    test(what, () => expect(serverOnly({ path: "x.ts", text }).length).toBe(1));
  }

  test("behind another file", () => {
    const files: Record<string, string> = {
      "a/src/browser.ts": 'export { b } from "./b.ts";',
      "a/src/b.ts": 'import type { C } from "./c.ts";\nimport { d } from "./d.ts";',
      "a/src/c.ts": 'import "node:fs";',
      "a/src/d.ts": 'import "node:os";',
    };
    const found = reachable("a/src/browser.ts", (path) => files[path], inPage).flatMap(serverOnly);
    expect(found).toEqual(["a/src/d.ts: node:os"]);
  });

  test("what is allowed is not reported", () => {
    const text = "// Bun is not named in code\nif (typeof setImmediate) nodes(process_, myBuffer);\n/** Buffer */";
    expect(serverOnly({ path: "x.ts", text })).toEqual([]);
  });
});
