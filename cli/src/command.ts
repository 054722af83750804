import type { Draw } from "@safedelta/data";
import { visible } from "@safedelta/report";
import { buildCommand, type Command, type CommandContext } from "@stricli/core";
import { z } from "zod";
import { exitCode, toldOf, UsageError } from "./exitCode.ts";
import { type Io, paint, processIo } from "./io.ts";
import { speechOptions } from "./options.ts";
import { type GivenOption, mergeOptions, ownOption } from "./recipe.ts";
import { runInWorker } from "./runInWorker.ts";

/** The options of a command as zod types by flag name (camel case; `--kebab-case` on the command line). */
export type Shape = Readonly<Record<string, z.ZodType>>;

/** One command: its words, and what runs. */
export interface CommandSpec<S extends Shape> {
  readonly brief: string;
  /** Longer help: what it reads and writes, an example. */
  readonly help: string;
  /** Names of positional arguments; a trailing "?" makes one optional, a trailing "…" an only one any number. */
  readonly args: readonly string[];
  readonly options: S;
  /** The command's name, where it computes for long: it runs in a worker then, so that the terminal stays alive. */
  readonly worker?: string;
  /** Schema of the file that the command is about, which `safedelta schema` prints in the place of its flags'. */
  readonly document?: z.ZodType;
  /** What of its data sources stands among the arguments; options name theirs by their kind (`option.source`). @throws as `run` */
  sources?(args: readonly string[]): readonly Draw[];
  /** Throws what `run` would throw of the options alone, without looking at any file but those that they say how to read by. */
  check?(
    options: z.output<z.ZodObject<S & typeof speechOptions>>,
    args: readonly string[],
    given: ReadonlyMap<string, GivenOption>,
  ): Promise<void>;
  /** Returns the exit code (nothing is 0). `given`: which options have more than their default. */
  run(
    options: z.output<z.ZodObject<S & typeof speechOptions>>,
    args: readonly string[],
    io: Io,
    given: ReadonlyMap<string, GivenOption>,
  ): Promise<number | undefined>;
}

/** A defined command: for the router, and its schema for `safedelta schema`. */
export interface DefinedCommand {
  readonly route: Command<CommandContext>;
  readonly schema: z.ZodObject;
  /** As `CommandSpec.document`. */
  readonly document?: z.ZodType;
  /** Models among the arguments. */
  models(args: readonly string[]): readonly string[];
  /** As `CommandSpec.sources`; none where a command has none. */
  sources(args: readonly string[]): readonly Draw[];
  /** As `CommandSpec.check`; does nothing where a command has none. */
  check(options: unknown, args: readonly string[], given: ReadonlyMap<string, GivenOption>): Promise<void>;
  /** As `CommandSpec.run`, with options that the schema has made. */
  run(
    options: unknown,
    args: readonly string[],
    io: Io,
    given: ReadonlyMap<string, GivenOption>,
  ): Promise<number | undefined>;
}

/** The parameters after the first. */
type Rest<F> = F extends (first: never, ...rest: infer R) => unknown ? R : never;

/** Make flags, recipe keys and schema of a command out of one description. */
export function defineCommand<S extends Shape>(spec: CommandSpec<S>): DefinedCommand {
  const schema = z.strictObject({ ...speechOptions, ...spec.options });
  const route = buildCommand({
    docs: { brief: spec.brief, fullDescription: `${spec.brief}.\n\n${spec.help}` },
    parameters: {
      flags: flagsOf(schema),
      aliases: aliasesOf(schema),
      positional: positionalsOf(spec.args),
      // The table above is built at run time, which the library's types cannot follow.
    } as never,
    func: async (flags: Record<string, unknown>, ...args: readonly (string | undefined)[]) => {
      await runCommand(
        spec,
        schema,
        flags,
        args.filter((arg) => arg !== undefined),
      );
    },
  });
  const run = (options: unknown, ...rest: Rest<typeof spec.run>) =>
    spec.run(options as z.output<z.ZodObject<S & typeof speechOptions>>, ...rest);
  const check = async (options: unknown, ...rest: [readonly string[], ReadonlyMap<string, GivenOption>]) =>
    spec.check?.(options as z.output<z.ZodObject<S & typeof speechOptions>>, ...rest);
  const sources = (args: readonly string[]) => spec.sources?.(args) ?? [];
  const models = (args: readonly string[]) => args.filter((_, i) => spec.args[i]?.startsWith("MODEL"));
  return { route: route as Command<CommandContext>, schema, document: spec.document, models, sources, check, run };
}

async function runCommand<S extends Shape>(
  spec: CommandSpec<S>,
  schema: z.ZodObject,
  flags: Record<string, unknown>,
  args: readonly string[],
): Promise<void> {
  let { verbose = false, color = true } = flags as { verbose?: boolean; color?: boolean };
  try {
    const merged = await mergeOptions(schema, flags);
    const options = merged.options as z.output<z.ZodObject<S & typeof speechOptions>>;
    requireNames(spec.args, args);
    using io = await processIo(options as unknown as Parameters<typeof processIo>[0]);
    ({ verbose, color } = io);
    const code = spec.worker
      ? await runInWorker({ command: spec.worker, options, args, given: merged.given }, io)
      : await spec.run(options, args, io, merged.given);
    process.exitCode = code ?? exitCode.done;
  } catch (error) {
    const { text, code } = toldOf(error, verbose);
    process.stderr.write(`${paint("error:", "red", color)} ${visible(text)}\n`);
    process.exitCode = code;
  }
}

/** An argument that the command cannot do without. @throws UsageError */
export function required<T>(value: T | undefined, flag: string): T {
  if (value === undefined) throw new UsageError(`${flag} is missing. Run the command with --help for its usage.`);
  return value;
}

/**
 * Refuse options that would have no effect beside another one. Those of a weaker source (a recipe's beside a flag), or of the environment, may stand.
 * @throws UsageError naming both
 */
export function refuseIdle(given: ReadonlyMap<string, GivenOption>, beside: string, idle: readonly string[]): void {
  const cause = given.get(beside);
  const found = idle.map((name) => ownOption(given, name)).filter((option) => option !== undefined);
  const refused = found.filter(({ rank }) => cause !== undefined && rank >= cause.rank).map(({ where }) => where);
  if (refused.length === 0) return;
  throw new UsageError(`${refused.join(", ")}: without effect beside ${cause?.where}. Leave one or the other out.`);
}

/** @throws UsageError for an empty argument, which no model or file has for a name */
function requireNames(names: readonly string[], args: readonly string[]): void {
  const empty = args.findIndex((arg) => arg.trim() === "");
  if (empty >= 0)
    throw new UsageError(
      `${names[Math.min(empty, names.length - 1)]} is empty. Run the command with --help for its usage.`,
    );
}

function positionalsOf(names: readonly string[]) {
  const [first = ""] = names;
  if (!first.endsWith("…")) return { kind: "tuple", parameters: names.map(positionalOf) };
  return { kind: "array", parameter: positionalOf(first.slice(0, -1)) };
}

function positionalOf(name: string) {
  const optional = name.endsWith("?");
  return { parse: String, placeholder: name.replace("?", ""), brief: name.replace("?", ""), optional };
}

function flagsOf(schema: z.ZodObject): Record<string, unknown> {
  return Object.fromEntries(Object.entries(schema.shape).map(([name, type]) => [name, flagOf(type as z.ZodType)]));
}

function flagOf(type: z.ZodType): unknown {
  const { description: brief = "", placeholder } = type.meta() as { description?: string; placeholder?: string };
  const value = type.safeParse(undefined).data;
  const shown = value === undefined || typeof value === "boolean" ? "" : ` [${String(value)}]`;
  if (typeof value === "boolean") return { kind: "boolean", optional: true, brief, withNegated: value };
  return { kind: "parsed", parse: String, optional: true, brief: brief + shown, placeholder: placeholder ?? "value" };
}

function aliasesOf(schema: z.ZodObject): Record<string, string> {
  const wanted = { q: "quiet", v: "verbose", o: "out" };
  return Object.fromEntries(Object.entries(wanted).filter(([, name]) => name in schema.shape));
}
