/** lm-evaluation-harness against the server: the same results as the harness with transformers on the same model. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { tinyFolder } from "../support/pico.ts";
import { openWorld } from "./world.ts";

/** A Python with lm_eval, torch and transformers. */
const python = process.env.SAFEDELTA_LM_EVAL;

/** Of a sum of a few log-probabilities, between our f32 and PyTorch's. */
const tolerance = 1e-4;

interface Answers {
  readonly results: Readonly<Record<"words" | "kinds", Readonly<Record<string, number>>>>;
  readonly samples: {
    readonly words: readonly [[string]][];
    /** For each question, for each choice: its log-probability, and whether it is what greedy decoding gives. */
    readonly kinds: readonly (readonly [[number, boolean]][])[];
  };
}

async function runHarness(url: string): Promise<Record<"served" | "local", Answers>> {
  const env = { ...process.env, OMP_NUM_THREADS: "1", OPENAI_API_KEY: "none" };
  const words = [python ?? "", join(import.meta.dir, "harness.py"), url, "tuned", join(tinyFolder, "tuned")];
  const child = Bun.spawn(words, { env, stdout: "pipe", stderr: "pipe" });
  const textOf = (stream: ReadableStream) => new Response(stream).text();
  const [stdout, stderr, code] = await Promise.all([textOf(child.stdout), textOf(child.stderr), child.exited]);
  if (code !== 0) throw new Error(`harness.py: exit ${code}\n${stderr}`);
  return JSON.parse(stdout);
}

describe.skipIf(!python)(`lm-evaluation-harness ${python ? "" : "(skipped: SAFEDELTA_LM_EVAL is not set)"}`, () => {
  test("a generating and a scoring task give what they give with transformers", async () => {
    await using world = await openWorld();
    const { served, local } = await runHarness(world.url);
    expect(served.results).toEqual(local.results);
    expect(served.samples.words).toEqual(local.samples.words);
    const [ours, theirs] = [served, local].map(({ samples }) => samples.kinds.flat(2));
    expect(ours.map(([, greedy]) => greedy)).toEqual(theirs.map(([, greedy]) => greedy));
    ours.forEach(([logprob], i) => {
      expect(Math.abs(logprob - theirs[i][0])).toBeLessThan(tolerance);
    });
    // The tasks tell something: neither all right nor all wrong, and texts that are not empty.
    expect(ours.length).toBe(60);
    expect(served.results.words["exact_match,none"]).toBeGreaterThan(0.2);
    expect(new Set(served.samples.words.flat(2)).size).toBeGreaterThan(5);
  }, 300_000);
});
