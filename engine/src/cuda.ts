import { type Engine, EngineSettingError, EngineUnavailableError } from "./engine.ts";
import { cublasFolders } from "./ffi/cublasFolders.ts";
import { FfiKernels } from "./ffi/kernels.ts";
import { openLibrary } from "./ffi/library.ts";
import { KernelEngine } from "./kernelEngine.ts";

const buildCommand = "bun run build:cuda";

/** What Linux and WSL show of an NVIDIA device. */
const devicePlaces = ["/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia/version"];

/** The device that SAFEDELTA_CUDA_DEVICE asks for, among those that CUDA_VISIBLE_DEVICES leaves. @throws EngineSettingError for no count */
function deviceAsked(): number {
  const text = process.env.SAFEDELTA_CUDA_DEVICE ?? "0";
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new EngineSettingError("open", `SAFEDELTA_CUDA_DEVICE is "${text}", expected the number of a device`);
}

/**
 * Open the CUDA engine on one device. cuBLAS is taken from SAFEDELTA_CUDA_LIB_DIR, the first folder of `cublasFolders` that has it, else from the loader's path.
 * @throws EngineUnavailableError with what is missing: the library, a driver, a device, cuBLAS
 */
export async function openCuda(device = deviceAsked()): Promise<Engine> {
  const library = await openLibrary(process.env.SAFEDELTA_CUDA_LIB ?? (await builtPath()), buildCommand);
  const asked = process.env.SAFEDELTA_CUDA_LIB_DIR;
  const folder = asked || (await cublasFolders()).find(({ present }) => present)?.folder;
  const kernels = FfiKernels.open(library, device, folder ?? null);
  return new KernelEngine({ name: "cuda", version: "1", ...kernels.describe() }, kernels);
}

/** Where `bun run build:cuda` puts the library. */
async function builtPath(): Promise<string> {
  const { existsSync } = await import("node:fs");
  const { fileURLToPath } = await import("node:url");
  const path = fileURLToPath(new URL("../native/libsafedelta_cuda.so", import.meta.url));
  if (existsSync(path)) return path;
  const device = devicePlaces.some((place) => existsSync(place));
  throw new EngineUnavailableError("open", device ? `not built: run \`${buildCommand}\`` : "no NVIDIA device here");
}
