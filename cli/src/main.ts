import { toolVersion } from "@safedelta/pipeline";
import { buildApplication, buildRouteMap, ExitCode, run, type StricliProcess, text_en } from "@stricli/core";
import { schemaCommand } from "./commands/schema.ts";
import { commands, groups } from "./commands.ts";
import { endCleanly, endWithParent } from "./ending.ts";
import { exitCode } from "./exitCode.ts";
import { paint } from "./io.ts";
import { resetTerminal } from "./progress.ts";
import { unknownVariables } from "./recipe.ts";
import { goesOn } from "./runInWorker.ts";

const all = { ...commands, schema: schemaCommand(commands) };
const single = Object.entries(all).filter(([name]) => !name.includes(" "));
const routes = {
  ...Object.fromEntries(single.map(([name, { route }]) => [name, route])),
  ...Object.fromEntries(Object.entries(groups).map(([name, brief]) => [name, groupOf(name, brief)])),
};

/** The commands whose first word is the group's name, as routes of their own. */
function groupOf(name: string, brief: string) {
  const own = Object.entries(commands).filter(([command]) => command.startsWith(`${name} `));
  const inner = Object.fromEntries(own.map(([command, { route }]) => [command.slice(name.length + 1), route]));
  return buildRouteMap({ routes: inner, docs: { brief } });
}

/** A wrong command line is told like every other error. */
const text = {
  ...text_en,
  exceptionWhileParsingArguments: (...of: Parameters<typeof text_en.exceptionWhileParsingArguments>) =>
    `error: ${text_en.exceptionWhileParsingArguments(...of)}`,
  noCommandRegisteredForInput: (of: Parameters<typeof text_en.noCommandRegisteredForInput>[0]) =>
    `error: ${text_en.noCommandRegisteredForInput(of)}`,
};

const application = buildApplication(
  buildRouteMap({ routes, docs: { brief: "Give a fine-tuned language model its safety back, without training" } }),
  {
    name: "safedelta",
    versionInfo: { currentVersion: toolVersion },
    localization: { text },
    scanner: { caseStyle: "allow-kebab-for-camel" },
    documentation: { caseStyle: "convert-camel-to-kebab", disableAnsiColor: true },
  },
);

process.on("SIGINT", () => {
  if (endCleanly()) return;
  const out = process.argv.find((word) => /^(--out|-o)(=|$)/.test(word));
  const [, , word = "", inner] = process.argv;
  const command = word in groups ? `${word} ${inner}` : word;
  const next = goesOn(command, out) ? "; finished pieces are kept, and the same command goes on" : "";
  process.stderr.write(`${resetTerminal()}\ninterrupted${next}\n`);
  process.exit(exitCode.interrupted);
});
process.on("SIGTERM", () => {
  if (endCleanly()) return;
  process.stderr.write(resetTerminal());
  process.exit(exitCode.terminated);
});
// A reader that has seen enough (head) is no failure of ours; end as programs do that the signal SIGPIPE ends.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(exitCode.brokenPipe);
  process.stderr.write(`${resetTerminal()}error: the result could not be written to stdout: ${error.message}\n`);
  process.exit(error.code === "ENOSPC" ? exitCode.resources : exitCode.failure);
});

for (const text of unknownVariables(Object.values(all).map(({ schema }) => schema)))
  process.stderr.write(`${paint("warning:", "yellow", !process.argv.includes("--no-color"))} ${text}\n`);

endWithParent();
const own: StricliProcess = { stdout: process.stdout, stderr: process.stderr, env: process.env };
await run(application, process.argv.slice(2), { process: own });
// A command that ran has set its own exit code; here are those of a command line that names none.
const wrong: readonly unknown[] = [ExitCode.InvalidArgument, ExitCode.UnknownCommand];
if (wrong.includes(own.exitCode)) process.exitCode = exitCode.usage;
else if (own.exitCode !== ExitCode.Success) process.exitCode = exitCode.failure;
