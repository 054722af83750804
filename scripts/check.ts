/**
 * Everything that must hold before a change lands: format and lint, types, tests (import rules among them), and one iteration of
 * each benchmark with its answer checked. Stops at the first step that fails.
 */
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const tool = (name: string) => join(root, "node_modules", ".bin", name);
const start = join(root, "scripts", "start.ts");

const steps: readonly { readonly name: string; readonly command: readonly string[] }[] = [
  { name: "format and lint", command: [tool("biome"), "ci", "--error-on-warnings", "."] },
  { name: "types", command: [tool("tsc"), "--noEmit"] },
  { name: "tests", command: [process.execPath, start, "scripts/test.ts"] },
  { name: "benchmarks, one iteration", command: [process.execPath, start, "bench/src/main.ts", "--once"] },
];

for (const { name, command } of steps) {
  console.error(`== ${name}`);
  const { exitCode } = Bun.spawnSync([...command], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  if (exitCode === 0) continue;
  console.error(`== ${name}: failed (exit ${exitCode})`);
  process.exit(1);
}
console.error("== all checks passed");
