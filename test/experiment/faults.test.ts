import { describe, expect, test } from "bun:test";
import { ExperimentError, parseRecipe } from "@safedelta/experiment";
import { plainWords } from "../../cli/src/plainWords.ts";
import { planOf, recipeOf, ref, small } from "./recipe.ts";

const { make, evaluations } = small;

/** Recipes that cannot be read, and what is said of them. */
const unread: Readonly<Record<string, readonly [unknown, RegExp]>> = {
  "a key that is near": [{ ...small, evaluation: {} }, /unknown key "evaluation"\. Did you mean "evaluations"/],
  "a key that is far": [{ ...small, colour: {} }, /^recipe\.yaml: unknown key "colour"\.$/],
  "a misspelt key": [{ ...small, sets: {} }, /^recipe\.yaml: unknown key "sets"\. Did you mean "set"\?/],
  "a misspelt key of a method": [
    { ...small, methods: { one: { modle: "x" } } },
    /unknown key "modle" in methods\.one\. Did you mean "model"\?/,
  ],
  "a method that is neither": [{ ...small, methods: { one: {} } }, /methods\.one: give either model or apply/],
  "a method that is both": [{ ...small, methods: { one: { model: "x", apply: {} } } }, /give either model or apply/],
  "an evaluation of nothing": [{ ...small, evaluations: { one: { metric: "exact" } } }, /evaluations\.one\.prompts/],
  "seeds that are none": [{ ...small, seeds: [] }, /seeds: must have 1 or more entries, but has 0$/],
  "a seed below 0": [{ ...small, seeds: [-1] }, /seeds\.0: must be 0 or more, but is -1$/],
  "a title that is none": [{ ...small, title: 3 }, /title: must be a text, but is 3$/],
  "no methods": [{ title: "x", evaluations }, /methods: must be a table, but is missing$/],
  "a word that is near": [
    { ...small, evaluations: { one: { ...evaluations.harm, measures: "safty" } } },
    /evaluations\.one\.measures: must be one of safety, utility, other, but is "safty"\. Did you mean "safety"\?/,
  ],
  "a name with a blank": [
    { ...small, make: { "my model": make.tuned } },
    /make\.my model: a name is letters, digits, '\.', '_' and '-', a letter first$/,
  ],
  "a list": [[1], /the recipe/],
};

describe("a recipe that cannot be read is told with its place", () => {
  for (const [what, [value, message]] of Object.entries(unread))
    test(what, () => {
      expect(() => recipeOf(value as object)).toThrow(ExperimentError);
      expect(() => recipeOf(value as object)).toThrow(message);
    });

  test("YAML that is none", () => {
    expect(() => parseRecipe("r.yaml", "title: [a\nb: c", plainWords)).toThrow(/^r\.yaml: .*line 2/);
  });
});

/** Recipes that cannot be planned. */
const unplanned: Readonly<Record<string, readonly [object, RegExp]>> = {
  "an unknown variable": [
    { ...small, methods: { one: { model: ref("tunde") } } },
    /harm of one: \$\{tunde\} is not known\. Did you mean "tuned"\?/,
  ],
  "a setting twice": [
    { ...small, methods: { one: { apply: { mode: "optimal", loss: [0.01, 0.1, 0.01] } } } },
    /methods: the row "one loss 0\.01" stands twice/,
  ],
  "something that needs itself": [
    {
      ...small,
      make: { ...make, tuned: { ...make.tuned, of: ref("state") }, state: { ...make.state, of: ref("tuned") } },
    },
    /needs itself/,
  ],
  "a variable that stands for itself": [{ ...small, set: { base: ref("base") } }, /base → base stands for itself/],
  "a name with two meanings": [{ ...small, set: { base: "b", state: "s" } }, /make\.state: "state" is a variable, too/],
  "an artefact called seed": [{ ...small, make: { ...make, seed: make.tuned } }, /make\.seed/],
  "a case that is none": [
    { ...small, make: { ...make, state: { ...make.state, cases: ["al"] } } },
    /no case is called "al"/,
  ],
  "a row to test against that is none": [
    { ...small, against: "tund" },
    /against: no row is called "tund"\. Did you mean "tuned"/,
  ],
  "a variable that is named nowhere": [
    { ...small, set: { base: "b", rate: 1 } },
    /^set\.rate: named nowhere, so it has no effect\. Write \$\{rate\} where it belongs/,
  ],
  "a variable of a case that is named nowhere": [
    { ...small, cases: { one: { rate: 1 }, two: {} } },
    /^cases\.one\.rate: named nowhere/,
  ],
  "a seed that stands twice": [{ ...small, seeds: [0, 1, 0] }, /^seeds: 0 stands twice/],
  "figures of a row that is none": [
    { ...small, paper: { source: "x", figures: { all: { optimal: { harm: 1 } } } } },
    /paper\.figures\.all: no row is called "optimal"/,
  ],
  "figures of a column that is none": [
    { ...small, paper: { source: "x", figures: { all: { tuned: { harms: 1 } } } } },
    /paper\.figures\.all\.tuned: no evaluation is called "harms"\. Did you mean "harm"/,
  ],
};

describe("a recipe that cannot be planned is told with its place", () => {
  for (const [what, [value, message]] of Object.entries(unplanned))
    test(what, () => {
      expect(() => planOf(value)).toThrow(ExperimentError);
      expect(() => planOf(value)).toThrow(message);
    });

  test("variables: unknown ones, and such as are left open", () => {
    expect(() => planOf(small, { set: { bse: "x" } })).toThrow(
      /--set bse: the recipe has no such variable\. Did you mean "base"/,
    );
    const open = { ...small, set: { base: null } };
    expect(() => planOf(open)).toThrow(/leaves open: base\. Give --set base=…/);
    expect(() => planOf(open, { set: { base: "models/base" } })).not.toThrow();
  });

  test("a variable that is named in a given one is used; given seeds are looked at, too", () => {
    const two = { ...small, set: { base: null, place: "models" } };
    expect(() => planOf(two, { set: { base: "models/base" } })).toThrow(/set\.place: named nowhere/);
    expect(() => planOf(two, { set: { base: `${ref("place")}/base` } })).not.toThrow();
    expect(() => planOf(small, { seeds: [2, 2] })).toThrow(/seeds: 2 stands twice/);
    expect(() => planOf(small, { seeds: [0.5] })).toThrow(/seeds: must be whole numbers from 0, but one is 0\.5/);
  });

  test("two artefacts of different cases do not see each other", () => {
    const apart = {
      ...small,
      cases: { one: {}, two: {} },
      make: { ...make, tuned: { ...make.tuned, cases: ["one"] } },
    };
    expect(() => planOf(apart)).toThrow(/\$\{tuned\} is not known/);
  });
});
