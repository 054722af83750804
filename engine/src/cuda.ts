import { type Engine, type EngineInfo, type EngineLoan, EngineSettingError } from "./engine.ts";
import { foldersToOpen } from "./ffi/cublasFolders.ts";
import { FfiKernels, NoSuchDeviceError } from "./ffi/kernels.ts";
import { type Library, openLibrary, openNamedOrBuilt } from "./ffi/library.ts";
import { KernelEngine } from "./kernelEngine.ts";

/** What Linux and WSL show of an NVIDIA device. */
const devicePlaces = ["/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia/version"];

/** Numbers of devices among those that CUDA_VISIBLE_DEVICES leaves, or all of these. */
export type CudaDevices = readonly number[] | "all";

/** The variable that names the devices. */
const deviceVariable = "SAFEDELTA_CUDA_DEVICE";

/**
 * Open the CUDA engine (the library at SAFEDELTA_CUDA_LIB where that is set) on the devices that SAFEDELTA_CUDA_DEVICE names (one, several
 * with commas, `all`; the first unless set). With several, the first is the engine and the others are its `peers`. cuBLAS is taken
 * from the first folder of `cublasFolders` that has one for the driver, else from the loader's path.
 * @throws EngineUnavailableError with what is missing: the library, a driver, any of the devices, cuBLAS; EngineSettingError for a variable
 * that is of no use and for devices that are not alike
 */
export async function openCuda(devices: CudaDevices = devicesFrom(process.env[deviceVariable])): Promise<Engine> {
  const library = await openNamedOrBuilt("cuda", notBuilt);
  return engineOf(openDevices(library, await foldersToOpen(), devices));
}

/** Numbers of the devices that `openCuda` opens where nothing else is asked for. @throws as `openCuda` */
export async function cudaDevices(): Promise<readonly number[]> {
  const asked = devicesFrom(process.env[deviceVariable]);
  if (asked !== "all") return asked;
  using engine = await openCuda(asked);
  return [engine, ...(engine.peers ?? [])].map((_, number) => number);
}

/**
 * Go on with an engine that another thread of this process has opened and does not use meanwhile. Disposing it frees what was allocated
 * here; the engine itself stays open.
 */
export async function borrowEngine({ path, address, info }: EngineLoan): Promise<Engine> {
  const library = await openLibrary(path, "bun run build:cuda");
  return new KernelEngine(info, FfiKernels.borrow(library, address));
}

/** @throws EngineSettingError for anything but numbers that differ, or `all`; with `auto` too: the user set it */
function devicesFrom(text: string | undefined): CudaDevices {
  if (text === "all") return text;
  const words = (text || "0").split(",");
  if (words.every((word) => /^\d{1,3}$/.test(word)) && new Set(words.map(Number)).size === words.length)
    return words.map(Number);
  const expected = "the number of a device (0 … 999), several that differ with commas between (0,1), or all";
  throw new EngineSettingError("open", `${deviceVariable} is "${text}", expected ${expected}`);
}

/** Every one of the devices, or none. */
function openDevices(library: Library, folders: string | null, devices: CudaDevices): FfiKernels[] {
  const opened: FfiKernels[] = [];
  const open = (number: number) => opened.push(FfiKernels.open(library, number, folders));
  try {
    if (devices === "all") openUpwards(open);
    else for (const number of devices) open(number);
    requireAlike(opened);
    return opened;
  } catch (error) {
    for (const kernels of opened) kernels.close();
    throw error;
  }
}

/** Open 0, 1, … up to the last that there is. */
function openUpwards(open: (number: number) => void): void {
  for (let number = 0; ; number++) {
    try {
      open(number);
    } catch (error) {
      if (number > 0 && error instanceof NoSuchDeviceError) return;
      throw error;
    }
  }
}

/** Else the bytes of a result would depend on which device made it. @throws EngineSettingError */
function requireAlike(opened: readonly FfiKernels[]): void {
  const [first, ...others] = opened.map((kernels) => kernels.describe().description);
  const other = others.find((description) => description !== first);
  if (other === undefined) return;
  throw new EngineSettingError(
    "open",
    `${deviceVariable} names devices that are not alike (${first}; ${other}), so results would depend on which of them computes. Name alike ones`,
  );
}

/** The first as an engine, with the others as its peers. */
function engineOf(opened: readonly FfiKernels[]): Engine {
  const infos = opened.map((kernels) => ({ name: "cuda", version: "1", ...kernels.describe() }) as const);
  const loans = opened.map((kernels, i) => ({ ...kernels.place, info: infos[i] }));
  const [, ...peers] = opened.map((kernels, i) => new KernelEngine(infos[i], kernels, loans[i]));
  const sum = (of: (info: EngineInfo) => number | undefined) => infos.reduce((all, info) => all + (of(info) ?? 0), 0);
  const several = {
    description: `${opened.length} devices, each ${infos[0].description}`,
    threads: sum(({ threads }) => threads),
    memoryBytes: sum(({ memoryBytes }) => memoryBytes),
  };
  const info = peers.length === 0 ? infos[0] : { ...infos[0], ...several };
  return new KernelEngine(info, opened[0], loans[0], peers);
}

/** What to do where there is a device. */
async function notBuilt(): Promise<string> {
  const { existsSync } = await import("node:fs");
  const device = devicePlaces.some((place) => existsSync(place));
  return device ? "not built: run `bun run build:cuda`" : "no NVIDIA device here";
}
