import { ExperimentError } from "./errors.ts";
import { requireNames, requireSeeds, requireUsed, textsOf, variablesOf } from "./names.ts";
import type { Artefact, Evaluation, Method, Recipe, Scalar } from "./recipe.ts";
import { type Row, rowsOf, wantedRows } from "./rows.ts";
import type { Meaning, Scope } from "./scope.ts";
import { answeringFlags, mayFailByItself, needsAnswers } from "./shared.ts";
import { makeStep, resultOf, type Step, type StepRequest, type Surroundings } from "./step.ts";

/** What the recipe leaves open. */
export interface PlanSettings extends Surroundings {
  /** Over the recipe's own. */
  readonly set: Readonly<Record<string, string>>;
  readonly seeds?: readonly number[];
  /** Names of the methods whose rows are wanted, besides those that others are held against; all unless given. */
  readonly methods?: readonly string[];
  /** Hash of what lies on this machine under a word; undefined where nothing does. */
  hashOf(word: string): string | undefined;
}

/** One measurement: a row of the table, in one case, for one seed, by one evaluation. */
export interface Cell {
  readonly case: string;
  readonly row: string;
  readonly evaluation: string;
  readonly seed: number;
  /** Ids of the steps that measure, and that make the model where it is a repair. */
  readonly evalStep: string;
  readonly applyStep?: string;
}

/** The whole experiment before anything runs. */
export interface Plan {
  /** By id, each after those that it needs. */
  readonly steps: ReadonlyMap<string, Step>;
  readonly cells: readonly Cell[];
  readonly rows: readonly Row[];
  /** Whether the recipe has further rows that were not asked for. */
  readonly isPart: boolean;
  readonly seeds: readonly number[];
  /** Names of what the recipe makes and no step needs; none where rows were left out. */
  readonly unused: readonly string[];
}

/**
 * Every step that a recipe asks for, and what of the table each of them measures. Steps that do not depend on seed or case are there once.
 * @throws ExperimentError for names that nothing stands for, variables that --set must give or that are named nowhere, methods that are not the recipe's, and seeds that are none or stand twice
 */
export function planExperiment(recipe: Recipe, settings: PlanSettings): Plan {
  const rows = rowsOf(recipe.methods);
  const variables = variablesOf(recipe, settings.set);
  requireNames(recipe, variables, rows);
  requireUsed(recipe, settings.set);
  const wanted = wantedRows(recipe, rows, settings.methods);
  const seeds = settings.seeds ?? recipe.seeds;
  requireSeeds(seeds);
  const steps: Steps = { all: new Map(), answering: new Map() };
  const unused = new Set(Object.keys(recipe.make));
  const cells = seeds.flatMap((seed) =>
    Object.entries(recipe.cases).flatMap(([name, own]) => {
      const names = { ...variables, ...textsOf(own), case: name, seed: String(seed) };
      const ofCase = new CasePlan(recipe, settings, steps, name, seed, names);
      const found = ofCase.cells(wanted);
      for (const used of ofCase.used) unused.delete(used);
      return found;
    }),
  );
  const isPart = wanted.length < rows.length;
  return { steps: steps.all, cells, rows: wanted, isPart, seeds, unused: isPart ? [] : [...unused] };
}

/** The steps so far. */
interface Steps {
  readonly all: Map<string, Step>;
  /** The evaluation that generates, by what decides its answers. */
  readonly answering: Map<string, Step>;
}

/** What an evaluation calls the repaired model of its row. */
const ownModel = "model of this row";

/** Steps of one case and seed. */
class CasePlan {
  private readonly scope: Scope;
  /** Names of what is made. */
  readonly used = new Set<string>();

  constructor(
    private readonly recipe: Recipe,
    private readonly settings: PlanSettings,
    private readonly steps: Steps,
    private readonly name: string,
    private readonly seed: number,
    variables: Readonly<Record<string, string>>,
  ) {
    const names = new Map<string, Meaning>(Object.entries(variables));
    for (const [artefact, request] of Object.entries(recipe.make))
      if (isIn(request, name))
        names.set(
          artefact,
          once(artefact, () => resultOf(this.made(artefact, request))),
        );
    this.scope = { names, hashOf: (word) => settings.hashOf(word) };
  }

  cells(rows: readonly Row[]): Cell[] {
    return rows
      .filter(({ name }) => isIn(this.recipe.methods[name], this.name))
      .flatMap((row) => this.cellsOf(row, this.recipe.methods[row.name]));
  }

  private cellsOf(row: Row, { model, ask = {} }: Method): Cell[] {
    const repair = model === undefined ? this.repair(row) : undefined;
    const target = model ?? `\${${ownModel}}`;
    const scope = repair ? withName(this.scope, ownModel, () => resultOf(repair)) : this.scope;
    return Object.entries(this.recipe.evaluations)
      .filter(([, evaluation]) => isIn(evaluation, this.name))
      .map(([name, evaluation]) => {
        const step = this.measure(evalRequest(name, row, target, { ...optionsOf(evaluation), ...ask }), scope);
        return {
          case: this.name,
          row: row.label,
          evaluation: name,
          seed: this.seed,
          evalStep: step.id,
          applyStep: repair?.id,
        };
      });
  }

  /** Named by its method, not by its row: a setting is the same step alone and in a list of several. */
  private repair({ name, label, options }: Row): Step {
    const all = { ...this.recipe.apply, ...options };
    return this.add({ name, title: label, kind: "apply", command: "apply", args: [], options: all }, this.scope);
  }

  private made(name: string, { run, of = [], cases: _, ...options }: Artefact): Step {
    this.used.add(name);
    const args = [of].flat();
    return this.add(
      { name, title: name, kind: "make", command: run, args, options: options as Record<string, Scalar> },
      this.scope,
    );
  }

  /** An evaluation; the first of those that ask the same generates, and others judge its answers. */
  private measure(request: StepRequest, scope: Scope): Step {
    const nBefore = this.steps.all.size;
    const step = this.add(request, scope);
    const wasPlanned = this.steps.all.size === nBefore;
    if (wasPlanned || !needsAnswers(String(request.options.metric))) return step;
    const asking = { ...request, name: "answers", options: answeringFlags(request.options) };
    const { id: asked } = makeStep(asking, scope, this.settings);
    const first = this.steps.answering.get(asked);
    if (first === undefined && !mayFailByItself(request.options)) this.steps.answering.set(asked, step);
    if (first === undefined) return step;
    // The fingerprint stays: given or generated, the answers are the same.
    const { options, needs } = step;
    const sharing = {
      ...step,
      options: { ...options, answers: first.artefact },
      needs: [...needs, first.id],
    };
    this.steps.all.set(step.id, sharing);
    return sharing;
  }

  private add(request: StepRequest, scope: Scope): Step {
    const found = makeStep(request, scope, this.settings);
    const known = this.steps.all.get(found.id);
    if (known) return known;
    const where = [Object.keys(this.recipe.cases).length > 1 ? this.name : "", `seed ${this.seed}`].filter(
      (word) => word !== "",
    );
    const step = { ...found, title: `${found.title} (${where.join(", ")})` };
    this.steps.all.set(step.id, step);
    return step;
  }
}

function evalRequest(evaluation: string, row: Row, model: string, options: StepRequest["options"]): StepRequest {
  const [name, title] = [`${evaluation}-${row.name}`, `${evaluation} of ${row.label}`];
  return { name, title, kind: "eval", command: "eval", args: [model], options };
}

/** The flags of an evaluation, without what is said about its value. */
function optionsOf({ measures: _, better: __, cases: ___, ...options }: Evaluation): Record<string, Scalar> {
  return options as Record<string, Scalar>;
}

function isIn({ cases }: { readonly cases?: readonly string[] }, name: string): boolean {
  return cases?.includes(name) ?? true;
}

function withName(scope: Scope, name: string, meaning: Meaning): Scope {
  return { ...scope, names: new Map(scope.names).set(name, meaning) };
}

/** A meaning that is made when it is first asked for. @throws ExperimentError when it asks for itself */
function once<T>(name: string, make: () => T): () => T {
  let [value, isOpen]: [T | undefined, boolean] = [undefined, false];
  return () => {
    if (isOpen) throw new ExperimentError(`make.${name}: needs itself.`);
    isOpen = true;
    value ??= make();
    isOpen = false;
    return value;
  };
}
