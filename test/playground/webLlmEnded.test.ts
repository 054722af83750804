/** web-llm's worker ends while it is asked: that is told, and the next question opens the model anew. The worker is a stand-in. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import type { Page } from "puppeteer-core";
import { noBrowser, openBrowser } from "../support/browser.ts";
import { scratchFolder } from "../support/pico.ts";
import { openWorld } from "./world.ts";

/** A worker that opens any model and ends at the first question, and a graphics card for it. */
function standIn(): void {
  const RealWorker = window.Worker;
  const opened: unknown[] = [];
  class EndedWorker {
    onmessage: ((event: MessageEvent) => void) | undefined;
    onerror: ((event: { message: string }) => void) | undefined;
    constructor() {
      opened.push(this);
    }
    postMessage({ kind, uuid }: { kind: string; uuid: string }): void {
      const answer = () => {
        const data = { kind: "return", uuid, content: null };
        if (kind === "reload") this.onmessage?.(new MessageEvent("message", { data }));
        if (kind.startsWith("chat")) this.onerror?.({ message: "device lost" });
      };
      setTimeout(answer);
    }
    terminate(): void {}
  }
  const choose = (url: string, options: WorkerOptions) =>
    url.includes("webLlm") ? new EndedWorker() : new RealWorker(url, options);
  Object.assign(window, {
    opened,
    Worker: new Proxy(RealWorker, { construct: (_, [url, options]) => choose(url, options) }),
  });
  Object.defineProperty(navigator, "gpu", { value: { requestAdapter: async () => ({}) } });
}

async function ask(page: Page): Promise<string | null | undefined> {
  await (await page.$(".tries button"))?.click();
  await page.waitForFunction(() => document.querySelector("[role=status]")?.textContent?.includes("exported failed"));
  return page.$eval(".answers > .exchange .card:last-child p", (found) => found.textContent);
}

test.skipIf(noBrowser !== "")(
  `a model whose worker ends is told as failed, and opened anew ${noBrowser && `(skipped: ${noBrowser})`}`,
  async () => {
    await using scratch = await scratchFolder();
    const path = join(scratch.path, "web-llm.json");
    await Bun.write(path, JSON.stringify({ model: "./", model_id: "exported", model_lib: "library.wasm" }));
    const files = new Map([["web-llm.json", path]]);
    const exported = { name: "exported", role: "other", kind: "mlc", f32Bytes: 0, maxPositions: 0, files } as const;
    await using world = await openWorld({}, { prompts: [{ about: "old", text: "add 3 and 4 ." }], models: [exported] });
    await using browser = await openBrowser();
    const page = await browser.newPage();
    await page.evaluateOnNewDocument(standIn);
    await page.goto(world.url);
    await page.waitForSelector("#strength");
    const nOpened = () => page.evaluate(() => (window as unknown as { opened: unknown[] }).opened.length);
    expect(await ask(page)).toContain("The worker with the model has ended: device lost");
    expect(await nOpened()).toBe(1);
    expect(await ask(page)).toContain("has ended");
    expect(await nOpened()).toBe(2);
  },
  120_000,
);
