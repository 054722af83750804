import { type Engine, type EngineChoice, EngineUnavailableError, openEngine } from "@safedelta/engine";

/** An engine kind on this machine: open it, or the reason why it cannot be opened. */
export interface EngineHere {
  readonly name: Exclude<EngineChoice, "auto">;
  /** Undefined where the engine runs. */
  readonly missing: string | undefined;
  /** How many devices it computes on. */
  readonly nDevices: number;
  open(): Promise<Engine>;
}

/** A record, so that the compiler asks for every kind that `openEngine` knows. */
const kinds: Record<EngineHere["name"], EngineHere["name"]> = {
  reference: "reference",
  wasm: "wasm",
  native: "native",
  cuda: "cuda",
};

/** Every engine kind. An engine that fails with anything but `EngineUnavailableError` fails the tests. */
export async function enginesHere(): Promise<EngineHere[]> {
  return Promise.all(Object.values(kinds).map(probe));
}

async function probe(name: EngineHere["name"]): Promise<EngineHere> {
  const open = async () => (await openEngine(name)).engine;
  try {
    using engine = await open();
    return { name, missing: undefined, nDevices: devicesOf(engine).length, open };
  } catch (error) {
    if (!(error instanceof EngineUnavailableError)) throw error;
    return { name, missing: error.message, nDevices: 0, open };
  }
}

/** The engine and its peers. */
export function devicesOf(engine: Engine): readonly Engine[] {
  return [engine, ...(engine.peers ?? [])];
}
