import type { Engine } from "./engine.ts";
import { countFrom } from "./ffi/built.ts";
import { cublasFolders } from "./ffi/cublasFolders.ts";
import { FfiKernels } from "./ffi/kernels.ts";
import { openNamedOrBuilt } from "./ffi/library.ts";
import { KernelEngine } from "./kernelEngine.ts";

/** What Linux and WSL show of an NVIDIA device. */
const devicePlaces = ["/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia/version"];

/**
 * Open the CUDA engine (the library at SAFEDELTA_CUDA_LIB where that is set) on one device, SAFEDELTA_CUDA_DEVICE unless given, among
 * those that CUDA_VISIBLE_DEVICES leaves. cuBLAS is taken from SAFEDELTA_CUDA_LIB_DIR, the first folder of `cublasFolders` that has it,
 * else from the loader's path.
 * @throws EngineUnavailableError with what is missing: the library, a driver, a device, cuBLAS; EngineSettingError for a variable that is of no use
 */
export async function openCuda(device = countFrom("SAFEDELTA_CUDA_DEVICE", "the number of a device")): Promise<Engine> {
  const library = await openNamedOrBuilt("cuda", notBuilt);
  const asked = process.env.SAFEDELTA_CUDA_LIB_DIR;
  const folder = asked || (await cublasFolders()).find(({ present }) => present)?.folder;
  const kernels = FfiKernels.open(library, device, folder ?? null);
  return new KernelEngine({ name: "cuda", version: "1", ...kernels.describe() }, kernels);
}

/** What to do where there is a device. */
async function notBuilt(): Promise<string> {
  const { existsSync } = await import("node:fs");
  const device = devicePlaces.some((place) => existsSync(place));
  return device ? "not built: run `bun run build:cuda`" : "no NVIDIA device here";
}
