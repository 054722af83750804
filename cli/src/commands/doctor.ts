import { type EngineChoice, EngineUnavailableError, openEngine } from "@safedelta/engine";
import { toolVersion } from "@safedelta/pipeline";
import { formatBytes } from "@safedelta/report";
import { defineCommand } from "../command.ts";
import { exitCode } from "../exitCode.ts";

interface EngineReport {
  readonly name: EngineChoice;
  readonly usable: boolean;
  readonly detail: string;
}

/** `safedelta doctor` */
export const doctorCommand = defineCommand({
  brief: "Show what this machine offers: engines, memory, versions",
  help: "Exit code 1 when no engine can be used.",
  args: [],
  options: {},
  async run(_options, _args, io) {
    const { availableParallelism, totalmem } = await import("node:os");
    const engines = await Promise.all((["cuda", "native", "wasm", "reference"] as const).map(probe));
    const machine = {
      version: toolVersion,
      bun: Bun.version,
      platform: `${process.platform} ${process.arch}`,
      processors: availableParallelism(),
      memoryBytes: totalmem(),
      hubCache: process.env.HF_HUB_CACHE ?? process.env.HF_HOME ?? "~/.cache/huggingface",
    };
    io.document({ ...machine, engines });
    const { version, bun, platform, processors, memoryBytes } = machine;
    io.print(
      `safedelta ${version}, bun ${bun}, ${platform}, ${processors} processors, ${formatBytes(memoryBytes)} of memory`,
    );
    for (const { name, usable, detail } of engines)
      io.print(`engine ${name}: ${usable ? "usable" : "not usable"}, ${detail}`);
    return engines.some(({ usable }) => usable) ? exitCode.done : exitCode.failure;
  },
});

async function probe(name: EngineChoice): Promise<EngineReport> {
  try {
    const { engine } = await openEngine(name);
    using opened = engine;
    return { name, usable: true, detail: opened.info.description };
  } catch (error) {
    if (!(error instanceof EngineUnavailableError)) throw error;
    return { name, usable: false, detail: error.message };
  }
}
