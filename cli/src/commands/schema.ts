import { z } from "zod";
import { type DefinedCommand, defineCommand } from "../command.ts";
import { UsageError } from "../exitCode.ts";
import { kebab } from "../recipe.ts";

/** `safedelta schema [COMMAND]`, made from the table of the other commands. */
export function schemaCommand(commands: Readonly<Record<string, DefinedCommand>>): DefinedCommand {
  return defineCommand({
    brief: "Print the JSON Schema of the recipes",
    help: "COMMAND is one of the commands; without it, the schemas of all are printed under their names.",
    args: ["COMMAND…"],
    options: {},
    async run(_options, words) {
      const name = words.length === 0 ? undefined : words.join(" ");
      const schemas = Object.fromEntries(
        Object.entries(commands).map(([key, { schema }]) => [key, recipeSchema(schema)]),
      );
      if (name !== undefined && !(name in schemas)) {
        throw new UsageError(`"${name}" is no command; there are: ${Object.keys(commands).join(", ")}.`);
      }
      process.stdout.write(`${JSON.stringify(name === undefined ? schemas : schemas[name], null, 2)}\n`);
      return undefined;
    },
  });
}

function recipeSchema(schema: z.ZodObject): unknown {
  const keyed = Object.fromEntries(Object.entries(schema.shape).map(([key, type]) => [kebab(key), type as z.ZodType]));
  return z.toJSONSchema(z.strictObject(keyed), {
    io: "input",
    unrepresentable: "any",
    override: ({ jsonSchema }) => {
      for (const own of ["placeholder", "group"]) delete jsonSchema[own];
    },
  });
}
