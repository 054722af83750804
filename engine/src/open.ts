import { type Engine, type EngineInfo, EngineUnavailableError } from "./engine.ts";

/** What a user may ask for with `--engine`. `reference` is the slow f64 oracle of the tests. */
export type EngineChoice = "auto" | "cuda" | "native" | "wasm" | "reference";

/** An open engine and why this one was taken. */
export interface OpenedEngine {
  readonly engine: Engine;
  readonly reason: string;
}

/** What a user may say of how an engine shall work. */
export interface EngineSettings {
  /** Of the native engine: 0 for one on each core; SAFEDELTA_THREADS unless given. The other engines have no use for it. */
  readonly threads?: number;
}

/** One engine kind, how to open it. `open` throws `EngineUnavailableError` with the reason when it cannot. */
interface Candidate {
  readonly name: Exclude<EngineChoice, "auto">;
  readonly inAuto: boolean;
  open(settings: EngineSettings): Promise<Engine>;
}

const candidates: readonly Candidate[] = [
  { name: "cuda", inAuto: true, open: async () => (await import("./cuda.ts")).openCuda() },
  { name: "native", inAuto: true, open: async ({ threads }) => (await import("./native.ts")).openNative(threads) },
  { name: "wasm", inAuto: true, open: async () => (await import("./wasm.ts")).openWasm() },
  { name: "reference", inAuto: false, open: async () => (await import("./reference.ts")).openReference() },
];

/**
 * Open one engine, no other.
 * @throws EngineUnavailableError with its own reason alone
 */
export async function openOnly(name: Candidate["name"], settings: EngineSettings = {}): Promise<Engine> {
  const candidate = candidates.find((one) => one.name === name);
  if (candidate === undefined) throw new EngineUnavailableError("open", `there is no engine "${name}"`);
  return candidate.open(settings);
}

/** One device of an engine, to be opened alone. */
export interface DeviceOpening {
  /** Its number, where devices have one. */
  readonly device?: number;
  open(): Promise<Engine>;
}

/** The devices that an engine computes on, to be opened one by one. @throws as opening it does */
export async function devicesOf(name: EngineInfo["name"]): Promise<readonly DeviceOpening[]> {
  if (name !== "cuda") return [{ open: () => openOnly(name) }];
  const { cudaDevices, openCuda } = await import("./cuda.ts");
  return (await cudaDevices()).map((device) => ({ device, open: () => openCuda([device]) }));
}

/**
 * Open the asked engine, or with `auto` the first that opens. Never falls back from an engine asked for by name.
 * @throws EngineUnavailableError listing each engine tried and its reason.
 */
export async function openEngine(choice: EngineChoice = "auto", settings: EngineSettings = {}): Promise<OpenedEngine> {
  if (choice !== "auto") return { engine: await openAsked(choice, settings), reason: "asked for by name" };
  const tried: string[] = [];
  for (const candidate of candidates.filter(({ inAuto }) => inAuto)) {
    try {
      const engine = await candidate.open(settings);
      return { engine, reason: ["first that opened", ...tried].join("; ") };
    } catch (error) {
      if (!(error instanceof EngineUnavailableError)) throw error;
      tried.push(`${candidate.name}: ${error.reason}`);
    }
  }
  throw new EngineUnavailableError("open", `no engine opens (${tried.join("; ")})`);
}

async function openAsked(name: Candidate["name"], settings: EngineSettings): Promise<Engine> {
  try {
    return await openOnly(name, settings);
  } catch (error) {
    if (!(error instanceof EngineUnavailableError)) throw error;
    throw new EngineUnavailableError("open", `engine ${name}: ${error.reason}`);
  }
}
