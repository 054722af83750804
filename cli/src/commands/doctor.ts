import { type HubSettings, readHubSettings } from "@safedelta/checkpoint";
import {
  cublasFolders,
  devicesOf,
  type EngineInfo,
  EngineSettingError,
  EngineUnavailableError,
  libraryPlace,
  openOnly,
} from "@safedelta/engine";
import { runSelfTest, toolVersion } from "@safedelta/pipeline";
import { formatBytes } from "@safedelta/report";
import { defineCommand } from "../command.ts";
import { exitCode, UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";
import { type EngineOptions, openTold } from "../openTold.ts";
import { computeOptions, option } from "../options.ts";
import { ownOption } from "../recipe.ts";

interface EngineReport {
  readonly name: EngineInfo["name"];
  readonly usable: boolean;
  readonly detail: string;
  readonly memoryBytes?: number;
}

const engineNames = ["cuda", "native", "wasm", "reference"] as const;

/** Side of the matrices that are timed: as in a 7B model on a GPU, as in a small one elsewhere. */
const timedSide = { cuda: 4096, native: 2048, wasm: 1024, reference: 128 } as const;

/** `safedelta doctor` */
export const doctorCommand = defineCommand({
  worker: "doctor",
  brief: "Show what this machine offers: engines, memory, versions",
  help:
    "Exit code 1 when no engine can be used. --selftest checks every operation and mode of one engine against the f64 reference and times " +
    "it, device by device (seconds on a GPU, a minute or two elsewhere); with --json its document is what to send when something is wrong. Exit code 1 when a check fails.",
  args: [],
  options: {
    selftest: option.flag("check and time an engine, each of its devices"),
    engine: computeOptions.engine,
  },
  async run(options, _args, io, given) {
    const engine = ownOption(given, "engine");
    if (engine !== undefined && !options.selftest)
      throw new UsageError(`${engine.where}: without effect without --selftest; every engine is shown.`);
    const machine = await describeMachine();
    if (options.selftest) return selfTestOn(options, machine, io);
    const engines = await Promise.all(engineNames.map(probe));
    const libraries = await Promise.all((["cuda", "native"] as const).map(placed));
    const cublas = await cublasFolders();
    io.document({ ...machine, engines, libraries, cublas });
    const { version, bun, platform, processors, memoryBytes, hubCache } = machine;
    io.print(
      `safedelta ${version}, bun ${bun}, ${platform}, ${processors} processors, ${formatBytes(memoryBytes)} of memory`,
    );
    for (const { name, usable, detail, memoryBytes: own } of engines) {
      const memory = own === undefined ? "" : `, ${formatBytes(own)} of memory`;
      io.print(`engine ${name}: ${usable ? "usable" : "not usable"}, ${detail}${memory}`);
    }
    for (const { name, path, source, present } of libraries)
      io.print(`library of ${name} ${present ? "is" : "is not"} at ${path} (${source})`);
    for (const { folder, source, present } of cublas)
      io.print(`cuBLAS ${present ? "is" : "is not"} in ${folder} (${source})`);
    io.print("NVIDIA's driver and, after these folders, cuBLAS are looked for where the loader finds libraries");
    io.print(`Hub cache: ${hubCache}`);
    return engines.some(({ usable }) => usable) ? exitCode.done : exitCode.failure;
  },
});

async function describeMachine() {
  const { availableParallelism, cpus, totalmem } = await import("node:os");
  const { cache }: HubSettings = await readHubSettings(process.env);
  return {
    version: toolVersion,
    bun: Bun.version,
    platform: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    processors: availableParallelism(),
    memoryBytes: totalmem(),
    hubCache: cache,
  };
}

/** Each device of the engine by itself: what one of them gets wrong must not hide behind another. */
async function selfTestOn(options: EngineOptions, machine: object, io: Io): Promise<number> {
  const engine = await openTold(options, io);
  const { name } = engine.info;
  engine[Symbol.dispose]();
  const devices = [];
  for (const { device, open } of await devicesOf(name)) {
    if (device !== undefined) io.print(`device ${device}:`);
    devices.push({ device, ...(await runSelfTest(open, timedSide[name], (line) => io.print(line))) });
  }
  const ok = devices.every((device) => device.ok);
  io.document({ ...machine, devices, ok });
  io.print(ok ? "all checks hold" : "some checks FAILED: do not use this engine");
  return ok ? exitCode.done : exitCode.failure;
}

async function placed(name: "cuda" | "native") {
  return { name, ...(await libraryPlace(name)) };
}

async function probe(name: EngineInfo["name"]): Promise<EngineReport> {
  try {
    using engine = await openOnly(name);
    const { description, memoryBytes } = engine.info;
    return { name, usable: true, detail: description, memoryBytes };
  } catch (error) {
    if (!(error instanceof EngineUnavailableError || error instanceof EngineSettingError)) throw error;
    return { name, usable: false, detail: error.reason };
  }
}
