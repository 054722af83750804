import { toolVersion } from "@safedelta/pipeline";
import { buildApplication, buildRouteMap, ExitCode, run, type StricliProcess } from "@stricli/core";
import type { DefinedCommand } from "./command.ts";
import { applyCommand } from "./commands/apply.ts";
import { chatCommand } from "./commands/chat.ts";
import { demoCommand } from "./commands/demo.ts";
import { diffCommand } from "./commands/diff.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { estimateCommand } from "./commands/estimate.ts";
import { generateCommand } from "./commands/generate.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { layerCommand } from "./commands/layer.ts";
import { prepareCommand } from "./commands/prepare.ts";
import { schemaCommand } from "./commands/schema.ts";
import { sweepCommand } from "./commands/sweep.ts";
import { verifyCommand } from "./commands/verify.ts";
import { exitCode } from "./exitCode.ts";
import { resetTerminal } from "./progress.ts";

const commands: Readonly<Record<string, DefinedCommand>> = {
  demo: demoCommand,
  prepare: prepareCommand,
  apply: applyCommand,
  sweep: sweepCommand,
  layer: layerCommand,
  inspect: inspectCommand,
  diff: diffCommand,
  verify: verifyCommand,
  generate: generateCommand,
  chat: chatCommand,
  estimate: estimateCommand,
  doctor: doctorCommand,
};

const all = { ...commands, schema: schemaCommand(commands) };
const routes = Object.fromEntries(Object.entries(all).map(([name, { route }]) => [name, route]));

const application = buildApplication(
  buildRouteMap({ routes, docs: { brief: "Give a fine-tuned language model its safety back, without training" } }),
  {
    name: "safedelta",
    versionInfo: { currentVersion: toolVersion },
    scanner: { caseStyle: "allow-kebab-for-camel" },
    documentation: { caseStyle: "convert-camel-to-kebab", disableAnsiColor: true },
  },
);

/** Commands that keep what they finished. */
const resumable: readonly (string | undefined)[] = ["prepare", "apply"];

process.on("SIGINT", () => {
  const next = resumable.includes(process.argv[2]) ? "; finished pieces are kept, and the same command goes on" : "";
  process.stderr.write(`${resetTerminal()}\ninterrupted${next}\n`);
  process.exit(exitCode.interrupted);
});
process.on("SIGTERM", () => {
  process.stderr.write(resetTerminal());
  process.exit(exitCode.terminated);
});
// A reader that has seen enough (head) is no failure of ours; end as programs do that the signal SIGPIPE ends.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(exitCode.brokenPipe);
  process.stderr.write(`${resetTerminal()}error: the result could not be written to stdout: ${error.message}\n`);
  process.exit(error.code === "ENOSPC" ? exitCode.resources : exitCode.failure);
});

const own: StricliProcess = { stdout: process.stdout, stderr: process.stderr, env: process.env };
await run(application, process.argv.slice(2), { process: own });
// A command that ran has set its own exit code; here are those of a command line that names none.
const wrong: readonly unknown[] = [ExitCode.InvalidArgument, ExitCode.UnknownCommand];
if (wrong.includes(own.exitCode)) process.exitCode = exitCode.usage;
else if (own.exitCode !== ExitCode.Success) process.exitCode = exitCode.failure;
