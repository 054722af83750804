import { join, resolve } from "node:path";
import type { Kind } from "./build.ts";

const root = resolve(import.meta.dir, "../..");

/** How the stand-in device works: in what order the threads of a block run, and whether work waits until something synchronises. */
export interface Device {
  readonly order: "forward" | "reverse" | "random";
  readonly eager?: boolean;
  /** How many devices the machine has and the engine computes on; 1 unless given. */
  readonly devices?: number;
}

/** What a run of the one case list gave. */
export interface Outcome {
  readonly code: number;
  readonly passed: number;
  readonly failed: number;
  readonly output: string;
}

/** Surroundings in which the CUDA engine of `folder` opens on its stand-ins. */
export function surroundings(folder: string, device: Device = { order: "forward" }): Record<string, string> {
  return {
    SAFEDELTA_CUDA_LIB: join(folder, "libsafedelta_cuda.so"),
    SAFEDELTA_CUDA_LIB_DIR: folder,
    SAFEDELTA_STANDIN_ORDER: device.order,
    SAFEDELTA_STANDIN_EAGER: device.eager ? "1" : "0",
    SAFEDELTA_STANDIN_DEVICES: String(device.devices ?? 1),
    SAFEDELTA_CUDA_DEVICE: "all",
  };
}

/**
 * The conformance cases on the CUDA engine, in a process of their own.
 * @param bail end at the first that fails
 * @param topic run those alone of one topic of the case list
 */
export async function conformance(
  folder: string,
  kind: Kind,
  device: Device,
  bail = false,
  topic = "",
): Promise<Outcome> {
  const env = { ...process.env, ...surroundings(folder, device), ...(kind === "sanitised" ? sanitiser() : {}) };
  const words = [
    "test",
    "--timeout",
    "120000",
    ...(bail ? ["--bail"] : []),
    "test/engine/conformance.test.ts",
    "-t",
    `^cuda ${topic}`,
  ];
  const child = Bun.spawn([process.execPath, ...words], { cwd: root, env, stdout: "pipe", stderr: "pipe" });
  const read = (stream: ReadableStream) => new Response(stream).text();
  const [out, err, code] = await Promise.all([read(child.stdout), read(child.stderr), child.exited]);
  const output = out + err;
  const count = (word: string) => Number(new RegExp(`^ *(\\d+) ${word}$`, "m").exec(output)?.[1] ?? 0);
  return { code, passed: count("pass"), failed: count("fail"), output };
}

/** An unsanitised bun loads sanitised libraries when the sanitisers' own are there before. */
function sanitiser(): Record<string, string> {
  const file = (name: string) =>
    Bun.spawnSync(["g++", `-print-file-name=${name}`])
      .stdout.toString()
      .trim();
  const libraries = ["libasan.so", "libubsan.so", "libstdc++.so.6"].map(file).join(" ");
  return { LD_PRELOAD: libraries, ASAN_OPTIONS: "detect_leaks=0" };
}
