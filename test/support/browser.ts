/**
 * Debian's Chromium, headless, for the tests of pages. It is found through SAFEDELTA_CHROMIUM (a path) or as `chromium` on the PATH;
 * without it these tests are skipped and say so, but on CI, whose script installs it, its absence is a failure.
 */
import type { Browser } from "puppeteer-core";
import puppeteer from "puppeteer-core";

const executable = process.env.SAFEDELTA_CHROMIUM || Bun.which("chromium");

/** Why tests in the browser are skipped; empty where they run. */
export const noBrowser =
  executable || process.env.CI === "true" ? "" : "SAFEDELTA_CHROMIUM is not set and no chromium is on the PATH";

/** WebGPU on the processor, where there is no graphics card: 32-bit floats only. */
export const webGpuFlags = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

/**
 * Start Chromium. The caller closes it.
 * @throws when there is none, as on a CI machine whose script could not install it
 */
export function openBrowser(flags: readonly string[] = []): Promise<Browser> {
  if (!executable)
    throw new Error("no chromium here: install Debian's `chromium`, or set SAFEDELTA_CHROMIUM to its path");
  // Without a sandbox, as root in a container has none; its shared memory is small there, so files in /tmp are used instead.
  const args = ["--no-sandbox", "--disable-dev-shm-usage", ...flags];
  // A processor that computes for the graphics card leaves the page little of itself.
  return puppeteer.launch({ executablePath: executable, headless: true, args, protocolTimeout: 1_800_000 });
}
