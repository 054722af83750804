export { dueSteps, type Standing } from "./due.ts";
export { ExperimentError } from "./errors.ts";
export { parseRecipe } from "./parseRecipe.ts";
export { type Cell, type Plan, type PlanSettings, planExperiment } from "./plan.ts";
export { type Recipe, recipeSchema } from "./recipe.ts";
export { markdownReport, terminalTable } from "./render.ts";
export { type Measured, type ResultCase, tabulate } from "./results.ts";
export type { Row } from "./rows.ts";
export { type Step, wordsOf } from "./step.ts";
