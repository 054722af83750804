/** Two stored runs side by side: `bun bench/src/compare.ts OLD.json NEW.json` (each from `bun run bench --json`). Ratios above 1 are faster. */
export {};

interface Stored {
  readonly engine: { readonly name: string; readonly description: string };
  readonly machine: Readonly<Record<string, unknown>>;
  readonly results: readonly { readonly name: string; readonly leastMs: number }[];
  readonly whole?: readonly { readonly name: string; readonly ms: number }[];
  readonly ladder?: readonly { readonly border: string; readonly rung: string; readonly leastNs: number }[];
}

/** Changes smaller than this are noise on a busy machine. */
const noise = 0.1;

const [oldPath, newPath] = process.argv.slice(2);
if (!oldPath || !newPath) stop("usage: bun bench/src/compare.ts OLD.json NEW.json");
const [before, after] = [await stored(oldPath), await stored(newPath)];
for (const key of Object.keys({ ...before.machine, ...after.machine })) {
  if (before.machine[key] !== after.machine[key])
    console.log(`another machine: ${key} ${before.machine[key]} -> ${after.machine[key]}; the ratios say little`);
}
if (before.engine.description !== after.engine.description)
  console.log(`another engine: ${before.engine.description} -> ${after.engine.description}`);
const known = timesOf(before);
for (const [name, time] of timesOf(after)) {
  const old = known.get(name);
  if (old === undefined) console.log(`${name.padEnd(56)} new`);
  else console.log(`${name.padEnd(56)} ${(old / time).toFixed(2).padStart(6)} ${wordFor(old / time)}`);
}

async function stored(path: string): Promise<Stored> {
  const run = await Bun.file(path)
    .json()
    .catch((error: Error) => stop(`${path}: ${error.message}`));
  const isRun = run?.machine && run.engine && Array.isArray(run.results);
  return isRun ? run : stop(`${path}: is no output of \`bun run bench --json\``);
}

function stop(message: string): never {
  console.error(message);
  process.exit(2);
}

function timesOf({ results, ladder = [], whole = [] }: Stored): Map<string, number> {
  return new Map([
    ...results.map(({ name, leastMs }) => [name, leastMs] as const),
    ...whole.map(({ name, ms }) => [name, ms] as const),
    ...ladder.map(({ border, rung, leastNs }) => [`${border}: ${rung}`, leastNs] as const),
  ]);
}

function wordFor(ratio: number): string {
  return ratio > 1 + noise ? "faster" : ratio < 1 - noise ? "SLOWER" : "";
}
