/**
 * Benchmarks of the engine: `bun run bench [--engine wasm] [--filter TEXT] [--once] [--json] [--peers] [--rounds N]`, and of whole
 * commands: with `--aligned A --tuned T --safe-data FILE [--samples N]` on those models, else on the pair of the repository.
 * --once   one run of each after the warm-up, to see that all of it works
 * --json   one JSON document on stdout, which `bun bench/src/compare.ts OLD NEW` compares with another
 * --peers  in turns with OpenBLAS and LAPACK of numpy and scipy on as many threads as the engine has (SAFEDELTA_PYTHON, else python3)
 */
import { parseArgs } from "node:util";
import { type EngineChoice, openEngine } from "@safedelta/engine";
import { cases } from "./cases.ts";
import { leastCall, measureLadder } from "./ladder.ts";
import { machine } from "./machine.ts";
import { measureCase, type Result } from "./measure.ts";
import { Peer } from "./peer.ts";
import { head, line, rungLine, wholeLine } from "./report.ts";
import { demoJob, measureWhole } from "./whole.ts";

const { values: options } = parseArgs({
  options: {
    engine: { type: "string", default: "auto" },
    filter: { type: "string", default: "" },
    once: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    peers: { type: "boolean", default: false },
    rounds: { type: "string", default: "5" },
    aligned: { type: "string", default: demoJob.aligned },
    tuned: { type: "string", default: demoJob.tuned },
    "safe-data": { type: "string", default: demoJob.safeData },
    samples: { type: "string", default: String(demoJob.samples) },
  },
});

const { engine } = await openEngine(options.engine as EngineChoice);
const peer = options.peers ? new Peer(process.env.SAFEDELTA_PYTHON ?? "python3", engine.info.threads) : undefined;
const peerText = await peer?.hello();
const results: Result[] = [];
const isWhole = !options.filter && !options.peers;
const ladder = isWhole ? await measureLadder(options.once, (rung) => options.json || console.log(rungLine(rung))) : [];
if (!options.json) console.log(head(engine.info, peerText));
for (const one of cases) {
  if (!one.name.includes(options.filter) || (options.peers && !one.peer)) continue;
  const result = await measureCase(engine, one, { once: options.once, rounds: Number(options.rounds) }, peer);
  results.push(result);
  if (!options.json) console.log(line(result));
}
const job = { ...options, safeData: options["safe-data"], samples: Number(options.samples) };
const empty = ladder.find(({ border, rung }) => border === `contract, ${engine.info.name}` && rung === leastCall);
const whole = empty
  ? await measureWhole(engine, job, empty.medianNs, (one) => options.json || console.log(wholeLine(one)))
  : [];
if (options.json) {
  const run = { engine: engine.info, machine: machine(), peer: peerText };
  console.log(JSON.stringify({ ...run, ladder, results, whole }, null, 2));
}
peer?.[Symbol.dispose]();
engine[Symbol.dispose]();
