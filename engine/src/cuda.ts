import { type Engine, EngineUnavailableError } from "./engine.ts";
import { builtLibrary, countFrom } from "./ffi/built.ts";
import { cublasFolders } from "./ffi/cublasFolders.ts";
import { FfiKernels } from "./ffi/kernels.ts";
import { openLibrary } from "./ffi/library.ts";
import { KernelEngine } from "./kernelEngine.ts";

const buildCommand = "bun run build:cuda";

/** What Linux and WSL show of an NVIDIA device. */
const devicePlaces = ["/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia/version"];

/**
 * Open the CUDA engine on one device, SAFEDELTA_CUDA_DEVICE unless given, among those that CUDA_VISIBLE_DEVICES leaves. cuBLAS is taken from SAFEDELTA_CUDA_LIB_DIR, the first folder of `cublasFolders` that has it, else from the loader's path.
 * @throws EngineUnavailableError with what is missing: the library, a driver, a device, cuBLAS
 */
export async function openCuda(device = countFrom("SAFEDELTA_CUDA_DEVICE", "the number of a device")): Promise<Engine> {
  const library = await openLibrary(process.env.SAFEDELTA_CUDA_LIB ?? (await builtPath()), buildCommand);
  const asked = process.env.SAFEDELTA_CUDA_LIB_DIR;
  const folder = asked || (await cublasFolders()).find(({ present }) => present)?.folder;
  const kernels = FfiKernels.open(library, device, folder ?? null);
  return new KernelEngine({ name: "cuda", version: "1", ...kernels.describe() }, kernels);
}

/** @throws EngineUnavailableError when it is not built, with what to do where there is a device */
async function builtPath(): Promise<string> {
  const path = await builtLibrary("cuda");
  if (path !== undefined) return path;
  const { existsSync } = await import("node:fs");
  const device = devicePlaces.some((place) => existsSync(place));
  throw new EngineUnavailableError("open", device ? `not built: run \`${buildCommand}\`` : "no NVIDIA device here");
}
