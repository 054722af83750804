import { describe, expect, test } from "bun:test";
import { dueSteps, judgingFlags, wordsOf } from "@safedelta/experiment";
import { flags } from "../../cli/src/eval/flags.ts";
import { camel } from "../../cli/src/recipe.ts";
import { files, planOf, ref, small } from "./recipe.ts";

/** Titles of the steps of a plan that another plan has not. */
function newSteps(after: ReturnType<typeof planOf>, before: ReturnType<typeof planOf>): string[] {
  return [...after.steps.values()]
    .filter(({ id }) => !before.steps.has(id))
    .map(({ title }) => title.replace(/ \(.*/, ""));
}

const unique = (words: readonly string[]) => [...new Set(words)].sort();

describe("a plan", () => {
  const plan = planOf(small);

  test("has every row of a grid, for each evaluation and seed", () => {
    expect(plan.rows.map(({ label }) => label)).toEqual(["tuned", "optimal loss 0.01", "optimal loss 0.1", "half"]);
    expect(plan.cells).toHaveLength(4 * 2 * 2);
    expect(new Set(plan.cells.map(({ evalStep }) => evalStep)).size).toBe(16);
  });

  test("has the rows of some methods alone, with those that they are held against, and the same steps for them", () => {
    const { rows, steps } = planOf({ ...small, against: "tuned" }, { methods: ["half"] });
    expect(rows.map(({ label }) => label)).toEqual(["tuned", "half"]);
    expect([...steps.keys()].every((id) => plan.steps.has(id))).toBe(true);
    expect(steps.size).toBeLessThan(plan.steps.size);
    expect(() => planOf(small, { methods: ["halt"] })).toThrow(/no method "halt".*half/);
  });

  test("makes once what no seed enters, and for each seed what one does", () => {
    const count = (name: string) => [...plan.steps.keys()].filter((id) => id.startsWith(`${name}-`)).length;
    expect([count("state"), count("tuned"), count("half")]).toEqual([1, 2, 2]);
  });

  test("has each step after those that it needs", () => {
    const seen = new Set<string>();
    for (const { id, needs } of plan.steps.values()) {
      expect(needs.every((other) => seen.has(other))).toBe(true);
      seen.add(id);
    }
    expect(plan.steps.size).toBe(1 + 2 + 3 * 2 + 16);
  });

  test("knows what is made for nothing; what one case needs is not", () => {
    expect(plan.unused).toEqual([]);
    const idle = { run: "data mix", of: ["task.jsonl"] };
    const make = { ...small.make, idle, "idle-too": { ...idle, of: ref("idle") } };
    expect(planOf({ ...small, make }).unused).toEqual(["idle", "idle-too"]);
  });

  test("writes the commands as a person would", () => {
    const steps = [...plan.steps.values()];
    const tuned = steps.find(({ title }) => title === "tuned (seed 1)");
    const [state] = steps.filter(({ command }) => command === "prepare");
    expect(tuned && wordsOf(tuned)).toEqual([
      "finetune",
      "models/base",
      "--data",
      "task.jsonl",
      "--seed",
      "1",
      "--out",
      `out/made/${tuned?.id}`,
    ]);
    const half = steps.find(({ title }) => title === "half (seed 1)");
    expect(half?.needs).toEqual([String(tuned?.id), state.id]);
    const ask = steps.find(({ title }) => title === "harm of half (seed 1)");
    expect(ask && wordsOf(ask).slice(0, 4)).toEqual(["eval", `out/made/${half?.id}`, "--prompts", "harm.jsonl"]);
  });
});

describe("a fingerprint", () => {
  const before = planOf(small);

  test("is the same wherever inputs and outputs lie", () => {
    const moved = Object.fromEntries(Object.entries(files).map(([name, hash]) => [`far/${name}`, hash]));
    const text = JSON.stringify(small).replaceAll(/"([\w/]+\.jsonl|models\/base)"/g, '"far/$1"');
    expect(newSteps(planOf(JSON.parse(text), { files: moved, out: "elsewhere" }), before)).toEqual([]);
  });

  test("changes with what a file holds, and only for what comes after it", () => {
    const safe = planOf(small, { files: { ...files, "safe.jsonl": "other" } });
    const later = ["half", "optimal loss 0.01", "optimal loss 0.1"];
    const asked = later.flatMap((row) => [`harm of ${row}`, `task of ${row}`]);
    expect(unique(newSteps(safe, before))).toEqual(["state", ...later, ...asked].sort());
    const prompts = planOf(small, { files: { ...files, "harm.jsonl": "other" } });
    expect(unique(newSteps(prompts, before))).toEqual(["tuned", ...later].map((row) => `harm of ${row}`).sort());
  });

  test("changes with an option, the version and the engine; a new row or seed leaves the rest as it is", () => {
    const base = { ...small, make: { ...small.make, tuned: { ...small.make.tuned, lr: 1e-4 } } };
    expect(newSteps(planOf(base), before)).not.toContain("state");
    expect(newSteps(planOf(base), before)).toHaveLength(before.steps.size - 1);
    expect(newSteps(planOf(small, { stamp: "version 2" }), before)).toHaveLength(before.steps.size);
    const more = { ...small, methods: { ...small.methods, third: { apply: { method: "dare", drop: 0.3 } } } };
    expect(unique(newSteps(planOf(more), before))).toEqual(["harm of third", "task of third", "third"]);
    expect(newSteps(planOf(small, { seeds: [0] }), before)).toEqual([]);
  });

  test("is of a setting, whether it stands alone or in a list", () => {
    const withLoss = (loss: unknown) =>
      planOf({ ...small, methods: { optimal: { apply: { mode: "optimal", loss } } } });
    const alone = withLoss(0.01);
    expect(newSteps(withLoss([0.01]), alone)).toEqual([]);
    const longer = withLoss([0.01, 0.1]);
    const added = ["harm of optimal loss 0.1", "optimal loss 0.1", "task of optimal loss 0.1"];
    expect(unique(newSteps(longer, alone))).toEqual(added);
    expect(withLoss([0.01]).rows).toMatchObject([{ label: "optimal loss 0.01" }]);
  });

  test("tells options from each other whatever their order and punctuation", () => {
    const withRival = (apply: object) => planOf({ ...small, methods: { one: { apply } } });
    const [a, b, c] = [
      { method: "wise-ft", alpha: 0.5 },
      { alpha: 0.5, method: "wise-ft" },
      { method: "wise-ft", alpha: 0.55 },
    ].map(withRival);
    expect(newSteps(b, a)).toEqual([]);
    expect(unique(newSteps(c, a))).toEqual(["harm of one", "one", "task of one"]);
  });
});

describe("cases", () => {
  const two = {
    ...small,
    seeds: [0],
    cases: { clean: { data: "task.jsonl" }, dirty: { data: "harm.jsonl" } },
    make: { ...small.make, tuned: { ...small.make.tuned, data: ref("data") } },
    evaluations: { ...small.evaluations, task: { ...small.evaluations.task, cases: ["clean"] } },
  };

  test("have variables of their own, and share what these do not enter", () => {
    const plan = planOf(two);
    expect(plan.cells.filter(({ evaluation }) => evaluation === "task").every((cell) => cell.case === "clean")).toBe(
      true,
    );
    expect(plan.cells).toHaveLength(4 * 2 + 4);
    const made = [...plan.steps.values()].filter(({ kind }) => kind === "make").map(({ title }) => title);
    expect(made.sort()).toEqual(["state (clean, seed 0)", "tuned (clean, seed 0)", "tuned (dirty, seed 0)"]);
  });
});

describe("evaluations that ask the same", () => {
  const harm = { ...small.evaluations.harm, "max-new-tokens": 8 };
  /** The plan of a model with the evaluation `harm` and others. */
  const plan = (others: Record<string, object>, first: object = harm) =>
    planOf({ ...small, seeds: [0], methods: { half: small.methods.half }, evaluations: { harm: first, ...others } });
  const stepOf = ({ steps }: ReturnType<typeof planOf>, name: string) =>
    [...steps.values()].find(({ title }) => title.startsWith(`${name} of `));
  const leak = { ...harm, metric: "pattern", pattern: "x" };

  test("generate once: the first, which the others need; the model is needed by all", () => {
    const whole = plan({ leak, kind: { ...harm, metric: "judge-refusal,kl-tuned", tuned: ref("tuned") } });
    const [first, ...others] = ["harm", "leak", "kind"].map((name) => stepOf(whole, name));
    expect(first?.options).not.toHaveProperty("answers");
    for (const step of others) {
      expect(step?.options.answers).toBe(String(first?.artefact));
      expect(step?.needs).toContain(String(first?.id));
      expect(step?.needs).toContain(String(stepOf(whole, "harm")?.needs[0]));
    }
    const seen = [...whole.steps.keys()];
    expect(seen.indexOf(String(others[0]?.id))).toBeGreaterThan(seen.indexOf(String(first?.id)));
  });

  test("keep the fingerprint that each has alone, and change it with the prompts", () => {
    const alone = plan({}, leak);
    const id = stepOf(plan({ leak }), "leak")?.id.replace("leak", "harm");
    expect(id).toBe(String(stepOf(alone, "harm")?.id));
    const others = { ...files, "harm.jsonl": "other" };
    const recipe = { ...small, evaluations: { harm, leak } };
    expect(unique(newSteps(planOf(recipe, { files: others }), planOf(recipe)))).toContain("leak of half");
  });

  test("share between rows and cases of one model, and not with those that ask otherwise or generate nothing", () => {
    const { half } = small.methods;
    const twice = planOf({ ...small, methods: { base: { model: ref("base") }, same: { model: ref("base") }, half } });
    const sharing = [...twice.steps.values()].filter(({ options }) => options.answers !== undefined);
    expect(sharing.map(({ title }) => title)).toEqual(["harm of same (seed 0)", "task of same (seed 0)"]);
    const odds = { ...harm, metric: "refusal-log-odds" };
    const apart = { longer: { ...leak, "max-new-tokens": 9 }, few: { ...leak, limit: 3 }, odds };
    const own = { given: { ...leak, answers: "results_1.json" } };
    const generating = [...plan({ ...apart, ...own }).steps.values()].map(({ options }) => options.answers);
    expect(generating.filter((answers) => answers !== undefined)).toEqual(["results_1.json"]);
    expect(stepOf(plan({ leak }, odds), "leak")?.options).not.toHaveProperty("answers");
  });

  test("every flag that is taken for judging is one of eval", () => {
    expect(judgingFlags.filter((name) => !(camel(name) in flags))).toEqual([]);
  });
});

describe("what has to run", () => {
  const plan = planOf(small, { seeds: [0] });
  const wanted = plan.cells.flatMap(({ evalStep, applyStep = evalStep }) => [evalStep, applyStep]);
  const titles = (standing: Record<string, "done" | "dropped">) => {
    const marks = [...plan.steps.values()].flatMap(({ id, title }) => {
      const mark = standing[title.replace(/ \(.*/, "")] ?? standing["*"];
      return mark ? [[id, { isDone: true, isThere: mark === "done" }] as const] : [];
    });
    return dueSteps(plan.steps, wanted, new Map(marks)).map(({ title }) => title.replace(/ \(.*/, ""));
  };

  test("is everything at first and nothing at last, dropped models included", () => {
    expect(titles({})).toHaveLength(plan.steps.size);
    expect(titles({ "*": "done" })).toEqual([]);
    expect(titles({ "*": "done", half: "dropped", tuned: "dropped", state: "dropped" })).toEqual([]);
  });

  test("is a dropped model again where a measurement of it is missing, with what it needs of what is gone", () => {
    const all = Object.fromEntries(
      [...plan.steps.values()].map(({ title }) => [title.replace(/ \(.*/, ""), "done" as const]),
    );
    const { "harm of half": _, ...others } = all;
    expect(titles(others)).toEqual(["harm of half"]);
    expect(titles({ ...others, half: "dropped" })).toEqual(["half", "harm of half"]);
    expect(titles({ ...others, half: "dropped", state: "dropped" })).toEqual(["state", "half", "harm of half"]);
  });
});
