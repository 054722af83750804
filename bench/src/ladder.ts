import {
  type Engine,
  type EngineInfo,
  EngineUnavailableError,
  foldersToOpen,
  openEngine,
  openNamedOrBuilt,
} from "@safedelta/engine";
import { measure } from "mitata";

/** Nanoseconds of one call across a border. */
export interface Rung {
  readonly border: string;
  readonly rung: string;
  readonly medianNs: number;
  readonly leastNs: number;
}

/** The rung of a contract call that does next to nothing. */
export const leastCall = "fill of one element";

type Calls = Readonly<Record<string, () => unknown>>;

/** What can be called across one border; disposing closes the engine behind it. */
interface Border extends Disposable {
  readonly name: string;
  readonly calls: Calls;
}

/**
 * What a call across the border costs, rung by rung from nothing to a real operation: the raw functions of each library that is
 * there (see `openNamedOrBuilt`) and opens, then the contract's calls (checks and handles included) on every engine here.
 */
export async function measureLadder(once: boolean, onRung: (rung: Rung) => void): Promise<Rung[]> {
  const rungs: Rung[] = [];
  for await (using border of borders()) {
    for (const [rung, call] of Object.entries(border.calls)) {
      const { p50, min } = await measure(call, once ? { max_samples: 1, min_samples: 1, min_cpu_time: 0 } : {});
      rungs.push({ border: border.name, rung, medianNs: p50, leastNs: min });
      onRung(rungs[rungs.length - 1]);
    }
  }
  return rungs;
}

/** One after the other. What is not available here is left out. */
async function* borders(): AsyncGenerator<Border> {
  const openers = [
    ...(["native", "cuda"] as const).map((name) => () => libraryBorder(name)),
    ...(["cuda", "native", "wasm", "reference"] as const).map((name) => () => contractBorder(name)),
  ];
  for (const open of openers) {
    try {
      yield await open();
    } catch (error) {
      if (!(error instanceof EngineUnavailableError)) throw error;
    }
  }
}

/** The rungs of a library. @throws EngineUnavailableError, EngineSettingError as `openNamedOrBuilt` */
async function libraryBorder(name: "native" | "cuda"): Promise<Border> {
  const { sd } = await openNamedOrBuilt(name, async () => "not built");
  const [out, folders] = [new BigUint64Array(1), name === "cuda" ? await foldersToOpen() : null];
  if (sd.sd_open(0, folders ? Buffer.from(`${folders}\0`) : null, out) !== 0)
    throw new EngineUnavailableError("open", `${name} does not open`);
  const engine = Number(out[0]);
  sd.sd_alloc(engine, 4 * 64 * 64, out);
  const m = Number(out[0]);
  const [value, text] = [new Float32Array(1), new Uint8Array(256)];
  const [free, total] = [new Float64Array(1), new Float64Array(1)];
  const decoder = new TextDecoder();
  const calls: Calls = {
    "no arguments": () => sd.sd_abi_version(),
    "seven scalars, no work": () => sd.sd_fill(engine, m, 0, 0, 1, 1, 0),
    "two pointers": () => sd.sd_memory(engine, free, total),
    "a typed array of 4 bytes": () => sd.sd_write(engine, m, 4, value, 4, 1),
    "a text out": () => {
      sd.sd_last_error(text, text.length);
      return decoder.decode(text.subarray(0, text.indexOf(0)));
    },
    "gemm 8 x 8": () => sd.sd_gemm(engine, 1, m, 8, 8, 64, 0, m + 2048, 8, 8, 64, 0, 0, m + 4096, 8, 8, 64),
  };
  return { name: `bun:ffi, ${name}`, calls, [Symbol.dispose]: () => void sd.sd_close(engine) };
}

async function contractBorder(name: EngineInfo["name"]): Promise<Border> {
  const { engine } = await openEngine(name);
  return { name: `contract, ${name}`, calls: contractCalls(engine), [Symbol.dispose]: () => engine[Symbol.dispose]() };
}

function contractCalls(engine: Engine): Calls {
  const m = engine.alloc(64, 64);
  const [a, b, c, one] = [m.view(0, 0, 8, 8), m.view(8, 8, 8, 8), m.view(16, 16, 8, 8), m.view(0, 0, 1, 1)];
  const value = new Float32Array(1);
  return {
    [leastCall]: () => engine.fill(one, 0),
    "a typed array of 4 bytes": () => engine.write(one, value),
    "alloc and dispose": () => engine.alloc(1, 1)[Symbol.dispose](),
    "gemm 8 x 8": () => engine.gemm(1, a, false, b, false, 0, c),
  };
}
