/** The page in Chromium while its models are loaded and the repair is prepared: nothing that its user does is lost, and nothing moves. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser } from "puppeteer-core";
import { noBrowser, openBrowser } from "../support/browser.ts";
import { answers, live, openHeld, openPage, prompts, refusal, untilReady, untilSpoken } from "./drive.ts";
import { openWorld, type World } from "./world.ts";

setDefaultTimeout(120_000);

/** Something has moved without its user's doing. */
interface LayoutShift {
  readonly hadRecentInput: boolean;
}

describe.skipIf(noBrowser !== "")(`the page that is loading ${noBrowser && `(skipped: ${noBrowser})`}`, () => {
  let browser: Browser;
  let world: World;
  beforeAll(async () => {
    browser = await openBrowser();
    world = await openWorld({}, { prompts });
  });
  afterAll(async () => {
    await browser?.close();
    await world?.[Symbol.asyncDispose]();
  });

  test("asked before the repair is ready, the repaired model answers as soon as it is", async () => {
    const { page, letThrough } = await openHeld(browser, "/api/safe");
    await page.goto(world.url);
    await page.waitForFunction(() => document.body.textContent?.includes("this page: WebAssembly"));
    await (await page.$(".tries button"))?.click();
    await untilSpoken(page, "complete");
    expect((await answers(page))[live]).toBe("asked when the repair is prepared");
    letThrough();
    await untilSpoken(page, "the repaired model answers");
    const found = await answers(page);
    expect([found.aligned, found[live]]).toEqual([refusal, refusal]);
  });

  test("asked while its models are loaded, the page's engine answers when they are there; nothing moves meanwhile", async () => {
    const { page, letThrough } = await openHeld(browser, "/head");
    await page.setViewport({ width: 1280, height: 1200 });
    // Without the mark behind what is being written, which is to move.
    await page.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: "reduce" }]);
    await page.evaluateOnNewDocument(() => {
      const shifts: unknown[] = [];
      Object.assign(window, { shifts });
      const note = (list: PerformanceObserverEntryList) => shifts.push(...list.getEntries().map((one) => one.toJSON()));
      new PerformanceObserver(note).observe({ type: "layout-shift", buffered: true });
    });
    const asked: string[] = [];
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    await page.goto(world.url);
    await (await page.waitForSelector("#ask"))?.type("add 3 and 4 .\n");
    await untilSpoken(page, "models that are being loaded answer when they are there");
    expect((await answers(page)).aligned).toBe("… the page is loading its models");
    letThrough();
    await untilSpoken(page, "complete");
    await untilReady(page);
    expect((await answers(page)).aligned).toBe("7");
    expect(asked).not.toContain("/v1/chat/completions");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("ask");
    const shifts = await page.evaluate(() => (window as unknown as { shifts: LayoutShift[] }).shifts);
    expect(shifts.filter(({ hadRecentInput }) => !hadRecentInput)).toEqual([]);
  });

  test("what the server would not take is told before it is sent", async () => {
    const { page, strange } = await openPage(browser, world.url);
    await page.click("input[value=server]");
    const fill = (box: Element, text: string) => {
      (box as HTMLTextAreaElement).value = text;
      box.dispatchEvent(new Event("input", { bubbles: true }));
    };
    await page.$eval("#ask", fill, "word ".repeat(2100));
    await page.focus("#ask");
    await page.keyboard.press("Enter");
    await untilSpoken(page, "failed");
    expect((await answers(page)).aligned).toMatch(
      /^The prompt is too long to be sent: 10,\d{3} bytes, where this playground takes 10,000 at most\. Shorten it\.$/,
    );
    expect(strange).toEqual([]);
  });

  test("loaded again, the live repair keeps its place while it is prepared", async () => {
    const { page, hold, letThrough } = await openHeld(browser, "/api/safe");
    letThrough();
    await page.goto(world.url);
    await untilReady(page);
    await (await page.$(".tries button"))?.click();
    await untilSpoken(page, "complete");
    const before = await answers(page);
    hold();
    await page.reload();
    await page.waitForFunction(() => document.body.textContent?.includes("this page: WebAssembly"));
    const meanwhile = await answers(page);
    expect(Object.entries(meanwhile)).toEqual(Object.entries(before));
    letThrough();
    await untilReady(page);
  });
});
