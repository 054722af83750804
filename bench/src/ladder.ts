import { builtLibrary, type Engine, EngineUnavailableError, openEngine, openLibrary } from "@safedelta/engine";
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

/**
 * What a call across the border costs, rung by rung from nothing to a real operation: the raw functions of each library that is
 * built and opens, then the contract's calls (checks and handles included) on every engine here.
 */
export async function measureLadder(once: boolean, onRung: (rung: Rung) => void): Promise<Rung[]> {
  const rungs: Rung[] = [];
  for (const [border, calls] of await borders()) {
    for (const [rung, call] of Object.entries(calls)) {
      const { p50, min } = await measure(call, once ? { max_samples: 1, min_samples: 1, min_cpu_time: 0 } : {});
      rungs.push({ border, rung, medianNs: p50, leastNs: min });
      onRung(rungs[rungs.length - 1]);
    }
  }
  return rungs;
}

async function borders(): Promise<[string, Calls][]> {
  const found: [string, Calls][] = [];
  for (const name of ["native", "cuda"] as const) {
    const calls = await libraryCalls(name);
    if (calls) found.push([`bun:ffi, ${name}`, calls]);
  }
  for (const name of ["cuda", "native", "wasm"] as const) {
    try {
      found.push([`contract, ${name}`, contractCalls((await openEngine(name)).engine)]);
    } catch (error) {
      if (!(error instanceof EngineUnavailableError)) throw error;
    }
  }
  return found;
}

/** The rungs of a library; undefined where it is not built or does not open. */
async function libraryCalls(name: "native" | "cuda"): Promise<Calls | undefined> {
  const path = await builtLibrary(name);
  if (path === undefined) return undefined;
  const { sd } = await openLibrary(path, `bun run build:${name}`);
  const [out, folder] = [new BigUint64Array(1), process.env.SAFEDELTA_CUDA_LIB_DIR];
  if (sd.sd_open(0, folder ? Buffer.from(`${folder}\0`) : null, out) !== 0) return undefined;
  const engine = Number(out[0]);
  sd.sd_alloc(engine, 4 * 64 * 64, out);
  const m = Number(out[0]);
  const [value, text] = [new Float32Array(1), new Uint8Array(256)];
  const [free, total] = [new Float64Array(1), new Float64Array(1)];
  const decoder = new TextDecoder();
  return {
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
