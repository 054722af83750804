import { z } from "zod";

const name = z.string().regex(/^[A-Za-z][\w.-]*$/, "a name is letters, digits, '.', '_' and '-', a letter first");
const scalar = z.union([z.string(), z.number(), z.boolean()]);
const variables = z.record(name, z.union([z.string(), z.number()]));
const someCases = z.array(name).min(1).optional().describe("only in these cases [all]");

/** Options of a command by the names of its flags, as they are with variables in them. */
const options = z.record(name, scalar);
/** A list is a grid: a row for each of its values. */
const gridOptions = z.record(name, z.union([scalar, z.array(scalar).min(1)]));

const artefact = z
  .object({
    run: z.string().describe("the command that makes it: finetune, prepare, data mix, …"),
    of: z
      .union([z.string(), z.array(z.string())])
      .optional()
      .describe("what stands before the flags: MODEL, SOURCE…"),
    cases: someCases,
  })
  .catchall(scalar)
  .describe("one of the project's commands; its other keys are the command's flags");

const method = z
  .strictObject({
    model: z.string().optional().describe("a model as it is: no repair"),
    apply: gridOptions
      .optional()
      .describe("flags of safedelta apply, over those of `apply`; a list makes a row of each"),
    ask: options.optional().describe("flags of safedelta eval that this row needs, such as system"),
    cases: someCases,
  })
  .refine(({ model, apply }) => (model === undefined) !== (apply === undefined), "give either model or apply");

const evaluation = z
  .object({
    prompts: z.string().describe("what is asked"),
    metric: z.string().describe("metrics of safedelta eval, separated by commas"),
    measures: z.enum(["safety", "utility", "other"]).describe("which axis of the plot"),
    better: z.enum(["higher", "lower"]).describe("which way is good"),
    cases: someCases,
  })
  .catchall(scalar)
  .describe("flags of safedelta eval, and what its value means");

const figures = z.record(name, z.record(z.string(), z.record(z.string(), z.number())));

/** RECIPE.yaml of `safedelta experiment`. */
export const recipeSchema = z.strictObject({
  title: z.string().describe("what is asked of the experiment"),
  set: z
    .record(name, z.union([z.string(), z.number(), z.null()]))
    .default({})
    .describe("variables, which --set changes; null: --set must give it"),
  seeds: z.array(z.int().min(0)).min(1).default([0]).describe("what depends on the variable seed is made for each"),
  cases: z.record(name, variables).default({ all: {} }).describe("parts of the table, each with variables of its own"),
  make: z.record(name, artefact).default({}).describe("data, models and states, by the name that others call them by"),
  apply: options.default({}).describe("flags of every safedelta apply"),
  methods: z.record(z.string(), method).describe("rows of the table"),
  evaluations: z.record(z.string(), evaluation).describe("columns of the table"),
  against: z.string().optional().describe("the row that the others are tested against"),
  best: z
    .strictObject({
      within: z.number().min(0).describe("how much less safe than the row `of` a setting may be"),
      of: z.string().describe("row whose safety is wanted"),
    })
    .optional()
    .describe("of each grid, the setting of most utility that is safe enough"),
  paper: z
    .strictObject({
      source: z.string().describe("where the figures stand"),
      figures: figures.describe("by case, row and column"),
    })
    .optional()
    .describe("published figures, shown beside ours"),
});

/** A parsed recipe. */
export type Recipe = z.output<typeof recipeSchema>;
export type Artefact = Recipe["make"][string];
export type Method = Recipe["methods"][string];
export type Evaluation = Recipe["evaluations"][string];
/** A value of an option. */
export type Scalar = z.output<typeof scalar>;
