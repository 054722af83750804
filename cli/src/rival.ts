import { type AnyOptions, type RivalChoice, type RivalMethod, thirdModel } from "@safedelta/pipeline";
import type { z } from "zod";
import { budgetFlag } from "./budget.ts";
import { refuseIdle, required } from "./command.ts";
import { UsageError } from "./exitCode.ts";
import { budgetOptions, option } from "./options.ts";
import { type GivenOption, kebab, ownOption } from "./recipe.ts";

type RivalName = RivalChoice["method"];

const rivalNames = ["safe-lora", "resta", "wise-ft", "negation", "random-mask", "dare"] as const;

/** Which method makes the weights, and the dials of the rivals; `--keep` and `--seed` are there for other uses, too. */
export const methodOptions = {
  method: option.choice(
    ["safe-delta", ...rivalNames],
    "safe-delta",
    "what makes the weights; all but safe-delta to compare",
  ),
  unaligned: option.model({ brief: "the model from before alignment (safe-lora, resta)" }),
  harmful: option.model({ brief: "a model tuned to do harm (negation)" }),
  projectLinears: option.maybePositive({
    brief: "project so many linears, of lowest cosine first (safe-lora) [10]",
    group: "projection",
  }),
  threshold: option.number({
    brief: "project the linears of this cosine or a lower one (safe-lora)",
    placeholder: "τ",
    group: "projection",
  }),
  gamma: option.number({ brief: "weight of the safety vector (resta) [1]", placeholder: "γ" }),
  drop: option.number({ brief: "share 0..1 of the changes that DARE drops (dare; resta [0])", placeholder: "p" }),
  alpha: option.number({ brief: "0 aligned .. 1 tuned (wise-ft) [0.5]", placeholder: "α" }),
  weight: option.number({ brief: "how much of the harmful change is taken off (negation) [1]", placeholder: "w" }),
};

type MethodFlags = z.output<z.ZodObject<typeof methodOptions>> & { readonly keep?: number; readonly seed: number };

/** What each rival takes of the flags that not every method has. */
const flagsOf: Readonly<Record<RivalName, readonly string[]>> = {
  "safe-lora": ["unaligned", "projectLinears", "threshold"],
  resta: ["unaligned", "gamma", "drop"],
  "wise-ft": ["alpha"],
  negation: ["harmful", "weight"],
  "random-mask": ["keep"],
  dare: ["drop"],
};

/** What Safe Delta takes and no rival does. `--keep` is the random mask's, too. */
const repairFlags = ["mode", "taskData", "taskThrough", ...Object.keys(budgetOptions)];

/**
 * The rival that is asked for; undefined for Safe Delta.
 * @throws UsageError for flags that the method does not take, and for those that it cannot do without
 */
export function chooseRival(options: MethodFlags, given: ReadonlyMap<string, GivenOption>): RivalMethod | undefined {
  const { method, seed } = options;
  if (method === "safe-delta") {
    refuseForeign(
      given,
      [...new Set(Object.values(flagsOf).flat())].filter((name) => name !== "keep"),
    );
    return undefined;
  }
  const own = flagsOf[method];
  const others = [...repairFlags, ...Object.values(flagsOf).flat()].filter((name) => !own.includes(name));
  refuseIdle(given, "method", [...new Set(others)]);
  const role = thirdModel[method];
  const third = role && required(options[role], `--${role}`);
  return { rival: rivalOf(method, options), third, seed };
}

/** A rival's flag without its method: the default takes none of them. */
function refuseForeign(given: ReadonlyMap<string, GivenOption>, foreign: readonly string[]): void {
  refuseIdle(given, "method", foreign);
  if (given.has("method")) return;
  for (const name of foreign) {
    const found = ownOption(given, name);
    if (!found) continue;
    const methods = rivalNames.filter((rival) => flagsOf[rival].includes(name)).join(" or ");
    throw new UsageError(`${found.where} needs --method ${methods}.`);
  }
}

function rivalOf(method: RivalName, options: MethodFlags): RivalChoice {
  const { threshold, projectLinears, gamma = 1, drop = 0, alpha = 0.5, weight = 1 } = options;
  switch (method) {
    case "safe-lora":
      if (threshold !== undefined && projectLinears !== undefined)
        throw new UsageError("Give --threshold or --project-linears, not both.");
      return threshold === undefined ? { method, nProjected: projectLinears ?? 10 } : { method, threshold };
    case "resta":
      return { method, gamma, drop };
    case "wise-ft":
      return { method, alpha };
    case "negation":
      return { method, weight };
    case "random-mask":
      return { method, keep: required(options.keep, "--keep") };
    case "dare":
      return { method, drop: required(options.drop, "--drop") };
  }
}

/** Whether a rival draws a mask, which then depends on the seed. */
export function drawsMask(rival: RivalChoice): boolean {
  return rival.method === "random-mask" || ("drop" in rival && rival.drop > 0);
}

/** How the command line spells a rival's dials, and its third model. */
export function rivalFlags({ rival, third, seed }: RivalMethod): Readonly<Record<string, string | number>> {
  const { method, ...dials } = rival;
  const role = thirdModel[method];
  const named = Object.entries(dials).map(([name, value]) => [
    name === "nProjected" ? "project-linears" : kebab(name),
    value,
  ]);
  return {
    method,
    ...(role && third !== undefined ? { [role]: third } : {}),
    ...Object.fromEntries(named),
    ...(drawsMask(rival) ? { seed } : {}),
  };
}

/** What makes the weights, in words: `mode optimal, --loss 0.01` or `wise-ft, --alpha 0.5`. */
export function methodText(options: AnyOptions): string {
  if ("mode" in options) return `mode ${options.mode}, ${budgetFlag(options.budget)}`;
  const { method, ...dials } = rivalFlags(options);
  return [method, ...Object.entries(dials).map(([name, value]) => `--${name} ${value}`)].join(", ");
}
