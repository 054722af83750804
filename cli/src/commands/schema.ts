import { z } from "zod";
import { type DefinedCommand, defineCommand } from "../command.ts";
import { UsageError } from "../exitCode.ts";
import { kebab } from "../recipe.ts";

/** `safedelta schema [COMMAND]`, made from the table of the other commands. */
export function schemaCommand(commands: Readonly<Record<string, DefinedCommand>>): DefinedCommand {
  return defineCommand({
    brief: "Print the JSON Schema of the recipes",
    help: "COMMAND is one of the commands; without it, the schemas of all are printed under their names. That of experiment is of its RECIPE.yaml.",
    args: ["COMMAND…"],
    options: {},
    async run(_options, words) {
      const name = words.length === 0 ? undefined : words.join(" ");
      const schemas = Object.fromEntries(
        Object.entries(commands).map(([key, { schema, document }]) => [key, jsonSchema(document ?? keyed(schema))]),
      );
      if (name !== undefined && !(name in schemas)) {
        throw new UsageError(`"${name}" is no command; there are: ${Object.keys(commands).join(", ")}.`);
      }
      process.stdout.write(`${JSON.stringify(name === undefined ? schemas : schemas[name], null, 2)}\n`);
      return undefined;
    },
  });
}

/** The recipe of a command has the names of its flags. */
function keyed(schema: z.ZodObject): z.ZodObject {
  return z.strictObject(
    Object.fromEntries(Object.entries(schema.shape).map(([key, type]) => [kebab(key), type as z.ZodType])),
  );
}

function jsonSchema(schema: z.ZodType): unknown {
  return z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    override: ({ jsonSchema }) => {
      for (const own of ["placeholder", "group", "reads", "words", "drawnBy"]) delete jsonSchema[own];
    },
  });
}
