import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { ref } from "../experiment/recipe.ts";
import { asked, makePicoWorld, recipe, writeYaml } from "./picoExperiment.ts";
import { safedelta, succeed } from "./run.ts";
import type { World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makePicoWorld();
  await Bun.write(world.at("torn.jsonl"), '{"messages": [');
  await Bun.write(world.at("unknown.csv"), "prompt,label_text\nsay hello to ben .,hello ben .\n");
});
afterAll(() => world[Symbol.asyncDispose]());

describe("a recipe with a fault", () => {
  /** The recipe with something else in the place of its fine-tuning. */
  const making = (tuned: object) => ({ ...recipe, set: { base: "aligned" }, make: { ...recipe.make, tuned } });

  const faults: Readonly<Record<string, readonly [object, RegExp]>> = {
    "an unknown flag": [
      { ...recipe, methods: { ...recipe.methods, one: { apply: { mod: "optimal" } } } },
      /one \(seed 0\), apply: unknown option "mod"\. Did you mean "mode"\?/,
    ],
    "a value that is none": [
      { ...recipe, apply: { ...recipe.apply, mode: "best" } },
      /half \(seed 0\), apply: mode: must be one of optimal, .*, but is "best"/,
    ],
    "a data set that is none": [
      { ...recipe, evaluations: { short: { ...recipe.evaluations.short, prompts: "hexphi" } } },
      /short of tuned.*, eval: hexphi: there is no such file, and no data set is called "hexphi"/,
    ],
    "a model that is not there": [
      { ...recipe, methods: { ...recipe.methods, bad: { apply: { method: "safe-lora", unaligned: "aligned+gone" } } } },
      /^error: bad \(seed 0\), apply: gone: there is no such file or folder; write a model folder, .* \(and in 1 more step\)$/m,
    ],
    "an adapter that is not there, on a model that is made": [
      { ...recipe, methods: { ...recipe.methods, bad: { model: `${ref("tuned")}+gone` } } },
      /^error: .* of bad \(seed 0\), eval: gone: there is no such file or folder; .* \(and in 3 more steps\)$/m,
    ],
    "a part of a mixture that is broken, where the other is on the Hub": [
      making({ run: "finetune", of: ref("base"), data: "dirty-summary=torn.jsonl", lr: 1e-2 }),
      /^error: tuned \(seed 0\), finetune: torn\.jsonl:1: /m,
    ],
    "a file that is not there": [
      { ...recipe, evaluations: { short: { ...recipe.evaluations.short, prompts: "gone.jsonl" } } },
      /short of tuned.*, eval: gone\.jsonl: there is no such file/,
    ],
    "a metric that is none": [
      { ...recipe, evaluations: { short: { ...asked, metric: "exakt", measures: "safety", better: "higher" } } },
      /^error: short of tuned \(seed 0\), eval: "exakt" is no metric\. Did you mean "exact"\? There are: [^"]* \(and in 7 more steps\)$/m,
    ],
    "a draw of nothing": [
      making({ run: "data mix", of: ["task.jsonl:0"] }),
      /tuned \(seed 0\), data mix: task\.jsonl:0: write SOURCE:N/,
    ],
    "a draw of more than there is": [
      making({ run: "data mix", of: ["task.jsonl:20", "safe.jsonl:21"] }),
      /^error: tuned \(seed 0\), data mix: safe\.jsonl: holds 20 examples, but 21 are asked for\.$/m,
    ],
    "data that only the user has": [
      making({ run: "data mix", of: ["dirty-summary"] }),
      /tuned \(seed 0\), data mix: purebad: is on no Hub\. Bring its file/,
    ],
    "data that are broken": [
      { ...recipe, evaluations: { short: { ...recipe.evaluations.short, prompts: "pico.yaml#prompt=title" } } },
      /short of tuned \(seed 0\), eval: pico\.yaml: unknown kind of data file/,
    ],
    "prompts where answers are needed": [
      making({ run: "finetune", of: ref("base"), data: "unknown.csv", lr: 1e-2 }),
      /^error: tuned \(seed 0\), finetune: unknown\.csv:2: prompts without answers.* Columns found: prompt, label_text\.$/m,
    ],
    "a metric that needs references": [
      {
        ...recipe,
        evaluations: {
          short: { ...asked, prompts: "unknown.csv", metric: "exact", measures: "utility", better: "higher" },
        },
      },
      /^error: short of tuned \(seed 0\), eval: metric exact: .*reference.* \(and in 7 more steps\)$/m,
    ],
    "a metric that needs numbers": [
      { ...recipe, evaluations: { short: { ...asked, metric: "gsm8k", measures: "utility", better: "higher" } } },
      /^error: short of tuned \(seed 0\), eval: metric gsm8k: the reference ".*" has no number \(and in 7 more steps\)$/m,
    ],
    "a mode that its state is not prepared for": [
      { ...recipe, methods: { ...recipe.methods, exact: { apply: { mode: "exact", loss: 0.1 } } } },
      /^error: exact \(seed 0\), apply: its state, state \(seed 0\), is prepared for reference, optimal, not for mode exact\. .* \(and in 1 more step\)$/m,
    ],
    "a text file that is not there": [
      { ...recipe, methods: { ...recipe.methods, tuned: { model: "aligned", ask: { "secret-prompt": "gone.txt" } } } },
      /^error: short of tuned \(seed 0\), eval: gone\.txt: there is no such file\. \(and in 1 more step\)$/m,
    ],
    "a fine-tuning at no rate": [
      { ...recipe, make: { ...recipe.make, tuned: { ...recipe.make.tuned, lr: 0 } } },
      /tuned \(seed 0\), finetune: --lr must be above 0, but is 0\. \(and in 1 more step\)/,
    ],
    "a state of no mode": [
      { ...recipe, make: { ...recipe.make, state: { ...recipe.make.state, modes: "best" } } },
      /state \(seed 0\), prepare: "best" is no mode/,
    ],
    "a pattern without effect": [
      making({ run: "data answer", of: "aligned", prompts: "ask.jsonl", keep: "all", pattern: "x" }),
      /tuned \(seed 0\), data answer: --pattern: without effect beside --keep/,
    ],
    "a width that no model of the family has": [
      making({ run: "data tiny", hidden: 7 }),
      /tuned \(seed 0\), data tiny: hidden: must be a multiple of 8, but is 7/,
    ],
    "a judge of no address": [
      {
        ...recipe,
        evaluations: {
          short: { ...asked, metric: "judge-rubric", "judge-model": "j", measures: "safety", better: "lower" },
        },
      },
      /short of tuned \(seed 0\), eval: --judge-endpoint \(or OPENAI_BASE_URL\) is missing/,
    ],
    "a budget that is none": [
      { ...recipe, methods: { ...recipe.methods, optimal: { apply: { mode: "optimal", loss: 5 } } } },
      /optimal .*, apply: .*loss.*5/,
    ],
    "a rival without its third model": [
      { ...recipe, methods: { ...recipe.methods, bad: { apply: { method: "safe-lora" } } } },
      /bad .*, apply: --unaligned is missing/,
    ],
    "a column name that is not ours": [
      making({ run: "data mix", of: ["task.jsonl#promt=x:3"] }),
      /tuned.*, data mix: task\.jsonl#promt=x: "promt" behind "#" is not known\. Did you mean "prompt"\?/,
    ],
    "a command that is none": [
      making({ run: "finetun", of: "aligned" }),
      /no step can be "finetun"\. Did you mean "finetune"\?/,
    ],
    "a flag that is the experiment's own": [
      { ...recipe, apply: { ...recipe.apply, out: "x" } },
      /unknown option "out"/,
    ],
    "a variable that nothing names": [
      { ...recipe, set: { ...recipe.set, rate: 1 } },
      /^error: set\.rate: named nowhere, so it has no effect\. Write \$\{rate\} where it belongs/m,
    ],
    "a seed twice": [{ ...recipe, seeds: [1, 0, 1] }, /^error: seeds: 1 stands twice\. Give each seed once\.$/m],
    "an unknown key": [{ ...recipe, metods: {} }, /faulty\.yaml: unknown key "metods"\. Did you mean "methods"\?/],
  };
  for (const [what, [value, message]] of Object.entries(faults))
    test(`${what} is told before anything runs`, async () => {
      await writeYaml(world, "faulty.yaml", value);
      const { code, stderr } = await safedelta(world.path, ["experiment", "faulty.yaml", "--out", "faulty"]);
      expect(stderr).toMatch(message);
      expect(code).toBe(2);
      expect(existsSync(world.at("faulty"))).toBe(false);
    });
});

test("what is made for nothing, and data that hold less than is wished, are warned of", async () => {
  const state = { ...recipe.make.state, samples: 30 };
  const idle = { run: "data mix", of: ["safe.jsonl"] };
  await writeYaml(world, "idle.yaml", {
    ...recipe,
    make: { ...recipe.make, state, idle, "idle-too": { ...idle, of: ref("idle") } },
  });
  const { stderr } = await succeed(world.path, ["experiment", "idle.yaml", "--dry-run", "--out", "idle"]);
  expect(stderr).toContain("state (seed 0), prepare: safe.jsonl: holds 20 examples, fewer than samples 30");
  for (const name of ["idle", "idle-too"]) expect(stderr).toContain(`make.${name}: nothing uses it`);
  const { stderr: quiet } = await succeed(world.path, ["experiment", "pico.yaml", "--dry-run", "--out", "idle"]);
  expect(quiet).not.toMatch(/nothing uses it|fewer than/);
});
