/**
 * web-llm answers in the page. Only where SAFEDELTA_MLC_LIBRARY names a model library of Qwen2-0.5B in q4f32_1 for the pinned web-llm
 * (Qwen2-0.5B-Instruct-q4f32_1_cs1k-webgpu.wasm of binary-mlc-llm-libs): no library is small enough to lie here. Without a
 * graphics card Chromium computes on the processor, about a minute a token.
 */
import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { exportMlc, silent } from "@safedelta/pipeline";
import { writeChain } from "../mlc/writeChain.ts";
import { noBrowser, openBrowser, webGpuFlags } from "../support/browser.ts";
import { scratchFolder } from "../support/pico.ts";
import { openWorld } from "./world.ts";

const library = process.env.SAFEDELTA_MLC_LIBRARY;
const missing = library ? noBrowser : "SAFEDELTA_MLC_LIBRARY is not set";

test.skipIf(missing !== "")(
  `an export with its library answers beside the others, and again after a stop ${missing && `(skipped: ${missing})`}`,
  async () => {
    await using scratch = await scratchFolder();
    const [spec, out] = ["chain", "exported"].map((name) => join(scratch.path, name));
    await writeChain(spec, ["sorry", "."]);
    await exportMlc({ model: spec, out, quant: "q4f32_1", library, offline: true, overwrite: false }, silent);
    const files = new Map((await readdir(out)).map((name) => [name, join(out, name)]));
    const exported = { name: "exported", role: "other", kind: "mlc", f32Bytes: 0, maxPositions: 0, files } as const;
    const prompts = [{ about: "old", text: "add 3 and 4 ." }];
    await using world = await openWorld({}, { prompts, models: [exported] });
    const browser = await openBrowser(webGpuFlags);
    try {
      const page = await browser.newPage();
      const strange: string[] = [];
      page.on("console", (message) => strange.push(message.text()));
      page.on("pageerror", (error) => strange.push(String(error)));
      await page.goto(world.url);
      await page.waitForSelector("#strength");
      const card = () => page.$$eval(".answers > .exchange .card:last-child p", (all) => all.map((p) => p.textContent));
      const press = (text: string) =>
        page.$$eval("button", (all, text) => all.find((button) => button.textContent?.includes(text))?.click(), text);
      const untilSpoken = (words: string, timeout: number) =>
        page.waitForFunction(
          (words) => document.querySelector("[role=status]")?.textContent?.includes(words),
          { timeout },
          words,
        );
      await press("add 3");
      await untilSpoken("Loading exported.", 60_000);
      expect(await card()).toEqual([expect.stringMatching(/^… \w/)]);
      await press("Stop");
      await untilSpoken("Stopped.", 5_000);
      expect(await card()).toEqual([" (stopped)"]);
      await press("add 3");
      await untilSpoken("The answers are complete.", 1_200_000);
      expect(await card()).toEqual(["sorry ."]);
      expect(strange).toEqual([]);
    } finally {
      await browser.close();
    }
  },
  1_800_000,
);
