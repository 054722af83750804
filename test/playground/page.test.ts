/** The page in Chromium: what it says and does with the tiny pair, by mouse, keyboard and for a screen reader, at any width. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Browser } from "puppeteer-core";
import { noBrowser, openBrowser, webGpuFlags } from "../support/browser.ts";
import { scratchFolder } from "../support/pico.ts";
import {
  answers,
  guarded,
  live,
  moveTo,
  openPage,
  prompts,
  refusal,
  setSlider,
  untilReady,
  untilSpoken,
} from "./drive.ts";
import { openWorld, storedSweep, type World } from "./world.ts";

setDefaultTimeout(120_000);

describe.skipIf(noBrowser !== "")(`the page ${noBrowser && `(skipped: ${noBrowser})`}`, () => {
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

  test("asks all models, and repairs one live: the answer to a guarded request changes with the dial", async () => {
    const { page, strange } = await openPage(browser, world.url);
    await (await page.$(".tries button"))?.click();
    await untilSpoken(page, "complete");
    const first = await answers(page);
    expect(Object.keys(first)).toEqual(["aligned", live, "tuned"]);
    expect([first.aligned, first[live]]).toEqual([refusal, refusal]);
    expect(first.tuned).toStartWith("sure , here :");
    const loss = () => page.$eval(".key.loss b", (element) => element.textContent);
    const before = await loss();
    await moveTo(page, 0);
    expect((await answers(page))[live]).toStartWith("sure , here :");
    expect([before, await loss()]).toEqual(["19 %", "100 %"]);
    await moveTo(page, 100);
    expect((await answers(page))[live]).toBe(refusal);
    expect(await loss()).toBe("0 %");
    expect((await answers(page)).tuned).toBe(first.tuned);
    expect(strange).toEqual([]);
  });

  test("a conversation that has filled the model's room says how to begin anew", async () => {
    const { page } = await openPage(browser, world.url);
    await (await page.$(".check input"))?.click();
    const failed = () => answers(page).then(({ aligned = "" }) => aligned.includes("Clear begins anew"));
    for (let i = 0; i < 8 && !(await failed()); i++) {
      await page.waitForSelector(".tries button[aria-disabled=false]");
      await (await page.$(".tries button"))?.click();
      const isAnswered = (n: number) =>
        document.querySelectorAll(".answers .exchange").length === n &&
        document.querySelector("[role=status]")?.textContent?.includes("complete");
      await page.waitForFunction(isAnswered, {}, i + 1);
    }
    expect(await failed()).toBe(true);
  });

  test("a dial that is moved while all are asked: its model answers again for where it stands", async () => {
    const { page } = await openPage(browser, world.url);
    await page.evaluate(() => {
      document.querySelector<HTMLButtonElement>(".tries button")?.click();
      const slider = document.querySelector<HTMLInputElement>("#strength");
      if (slider) slider.value = "0";
      slider?.dispatchEvent(new Event("input", { bubbles: true }));
    });
    await untilSpoken(page, "At strength 0 the repaired model answers: sure , here :");
    const found = await answers(page);
    expect([found.aligned, found[live]]).toEqual([refusal, found.tuned]);
  });

  test("shows the live repair by layer in the report's heat map, which follows the dial", async () => {
    const { page } = await openPage(browser, world.url);
    await (await page.$(".tries button"))?.click();
    await untilSpoken(page, "complete");
    const shown = () =>
      page.$$eval(".layers table.heat td", (cells) =>
        cells.map(({ className, textContent }) => [className, textContent]),
      );
    const chosen = await page.$$eval("#measure option", (all) =>
      all.map((option) => (option as HTMLOptionElement).value),
    );
    expect(chosen).toEqual(["tuned-loss", "safety-loss", "delta-norm", "kept"]);
    await moveTo(page, 100);
    expect(await shown()).toEqual(Array.from({ length: 14 }, () => ["h0", "0"]));
    await moveTo(page, 0);
    const whole = await shown();
    expect(whole.reduce((sum, [, share]) => sum + Number(share), 0)).toBeCloseTo(100, 0);
    expect(whole.some(([heat]) => heat === "h7")).toBe(true);
    await page.select("#measure", "kept");
    expect(await shown()).toEqual(Array.from({ length: 14 }, () => ["h7", "100"]));
    const ground = await page.$eval(".layers td.h7", (cell) => getComputedStyle(cell).backgroundColor);
    expect(ground).toBe("rgb(8, 48, 107)");
  });

  test("a dial moves along models that are stored, too: each answers where it stands, by this computer's engine", async () => {
    await using stored = await openWorld({}, { prompts, sweeps: [storedSweep] });
    const { page, strange } = await openPage(browser, stored.url);
    const asked: string[] = [];
    page.on("request", (request) => {
      if (request.url().endsWith("/v1/chat/completions")) asked.push(JSON.parse(request.postData() ?? "").model);
    });
    await (await page.$(".tries button"))?.click();
    await untilSpoken(page, "complete");
    const first = await answers(page);
    expect(Object.keys(first)).toEqual(["aligned", live, "sweep: optimal", "tuned"]);
    expect(first["sweep: optimal"]).toBe(refusal);
    const seen = () =>
      page.$eval(".stored", (dial) => [
        dial.querySelector("input")?.getAttribute("aria-valuetext"),
        dial.querySelector("svg")?.getAttribute("aria-label"),
      ]);
    expect(await seen()).toEqual([
      "optimal --loss 0.1, 2 of 2: 10 % of the safety loss stays",
      "At optimal --loss 0.1, safety loss that stays: 10 %, change that is kept: 60 %",
    ]);
    await setSlider(page, "#stop-0", 0);
    await untilSpoken(page, "At optimal --loss 0.9 the repaired model answers: sure , here");
    expect((await answers(page))["sweep: optimal"]).toBe(first.tuned);
    expect(asked).toEqual(["sweep/strong", "sweep/weak"]);
    await page.reload();
    await untilReady(page);
    expect(await page.$eval("#stop-0", (slider) => (slider as HTMLInputElement).value)).toBe("0");
    expect((await answers(page))["sweep: optimal"]).toBe(first.tuned);
    expect(strange).toEqual([]);
  });

  test("a model that is too large for the page is named there with what to do, and the others are run by it", async () => {
    const big = { name: "big", role: "other", kind: "tensors", f32Bytes: 1.44e9, maxPositions: 64 } as const;
    await using shown = await openWorld({}, { prompts, models: [big] });
    const { page } = await openPage(browser, shown.url);
    const told = await page.$eval(".engines", ({ textContent }) => textContent);
    expect(told).toContain("Too large for this page, which runs models of up to 225 million weights");
    expect(told).toContain("big (360 million weights)");
    expect(await page.$eval("input[value=page]", (input) => (input as HTMLInputElement).checked)).toBe(true);
    const asked: string[] = [];
    page.on("request", (request) => {
      if (request.url().endsWith("/v1/chat/completions")) asked.push(JSON.parse(request.postData() ?? "").model);
    });
    await (await page.$(".tries button"))?.click();
    await untilSpoken(page, "complete");
    expect(asked).toEqual(["big"]);
    expect((await answers(page)).aligned).toBe(refusal);
  });

  test("this computer's engine answers as the page's does", async () => {
    const { page, strange } = await openPage(browser, world.url);
    const asked: string[] = [];
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    for (const where of ["page", "server"]) {
      await (await page.$(`input[value=${where}]`))?.click();
      await (await page.$(".tries li:last-child button"))?.click();
      await page.waitForFunction(
        (n) => document.querySelectorAll(".exchange").length === n,
        {},
        where === "page" ? 1 : 2,
      );
      await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
    }
    const all = await page.$$eval(".exchange", (rows) =>
      rows.map((row) => [...row.querySelectorAll(".answer")].map(({ textContent }) => textContent)),
    );
    expect(all[0]).toEqual(all[1]);
    expect(all[0][2]).toBe("rita has coin from seth .");
    expect(asked.filter((path) => path === "/v1/chat/completions").length).toBe(2);
    expect(strange).toEqual([]);
  });

  test("is used by the keyboard alone", async () => {
    const { page } = await openPage(browser, world.url);
    const focused = () => page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent);
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("Skip to the prompt");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    await page.focus("#ask");
    await page.keyboard.type("add 3 and 4 .");
    await page.keyboard.press("Enter");
    await untilSpoken(page, "complete");
    expect((await answers(page)).aligned).toBe("7");
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("Ask");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelectorAll(".exchange").length === 2);
    await untilSpoken(page, "complete");
    expect(await focused()).toBe("Ask");
    for (let i = 0; i < 20 && (await focused()) !== "strength"; i++) await page.keyboard.press("Tab");
    expect(await focused()).toBe("strength");
    expect(await page.$eval("#strength", (slider) => getComputedStyle(slider).outlineStyle)).toBe("solid");
    await page.keyboard.press("End");
    await untilSpoken(page, "At strength 100 ");
  });

  test("says to a screen reader what it shows", async () => {
    const { page } = await openPage(browser, world.url);
    const flat = (node: { role?: string; name?: string; children?: object[] } | null): string[] =>
      node ? [`${node.role} ${node.name}`, ...(node.children ?? []).flatMap((child) => flat(child as never))] : [];
    const said = flat((await page.accessibility.snapshot({ interestingOnly: false })) as never);
    for (const expected of [
      "heading Safe Delta playground",
      "textbox Prompt for all models",
      "button Ask",
      "slider Strength of the repair",
      "checkbox with the conversation so far",
      "combobox Shown of each linear",
      "region Answers",
      "region Repair",
    ])
      expect(said).toContain(expected);
    expect(said.some((one) => one.startsWith("image At strength 56, safety loss that stays: 19 %"))).toBe(true);
    expect(await page.$eval("#strength", (slider) => slider.getAttribute("aria-valuetext"))).toBe(
      "56 of 100: 19 % of the safety loss may stay",
    );
    // Whatever can be used has a name.
    const nameless = said.filter((one) =>
      /^(button|textbox|slider|checkbox|radio|combobox|link) (undefined)?$/.test(one),
    );
    expect(nameless).toEqual([]);
  });

  test("is as it was after it is loaded again, and empty after Clear", async () => {
    const { page, strange } = await openPage(browser, world.url);
    await (await page.$(".tries button"))?.click();
    await untilSpoken(page, "complete");
    await moveTo(page, 20);
    const before = await answers(page);
    const value = (selector: string) => page.$eval(selector, (input) => (input as HTMLInputElement).value);
    await page.reload();
    await untilReady(page);
    expect(await answers(page)).toEqual(before);
    expect([await value("#strength"), await value("#ask")]).toEqual(["20", guarded]);
    await page.$$eval("button", (all) => all.find(({ textContent }) => textContent === "Clear")?.click());
    await page.reload();
    await untilReady(page);
    expect(await answers(page)).toEqual({});
    expect(strange).toEqual([]);
  });

  test("fits every width: nothing is scrolled sideways, no words are cut", async () => {
    const { page } = await openPage(browser, world.url);
    await (await page.$(".tries button"))?.click();
    await untilSpoken(page, "complete");
    for (const width of [320, 480, 768, 1024, 1600, 2560, 3840]) {
      await page.setViewport({ width, height: 900 });
      const found = await page.evaluate(() => ({
        scroll: document.documentElement.scrollWidth,
        wide: [...document.querySelectorAll("main *:not(.scroll *)")]
          .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
          .map(({ tagName, className }) => `${tagName} ${className}`),
      }));
      expect({ width, ...found }).toEqual({ width, scroll: width, wide: [] });
    }
  });

  test("what web-llm lacks is told in words, and the other models answer all the same", async () => {
    await using scratch = await scratchFolder();
    const record = { model: "./", model_id: "exported", model_lib: "library.wasm" };
    const files = {
      "web-llm.json": JSON.stringify(record),
      "library.wasm": "no library",
      "mlc-chat-config.json": "{}",
    };
    for (const [name, text] of Object.entries(files)) await Bun.write(join(scratch.path, name), text);
    const paths = new Map(Object.keys(files).map((name) => [name, join(scratch.path, name)]));
    const exported = {
      name: "exported",
      role: "other",
      kind: "mlc",
      f32Bytes: 0,
      maxPositions: 0,
      files: paths,
    } as const;
    await using shown = await openWorld({}, { prompts, models: [exported] });
    await using onProcessor = await openBrowser(webGpuFlags);
    const said: string[] = [];
    for (const one of [browser, onProcessor]) {
      const { page } = await openPage(one, shown.url);
      await (await page.$(".tries button"))?.click();
      await untilSpoken(page, "complete");
      const { aligned, exported } = await answers(page);
      expect(aligned).toBe(refusal);
      said.push(exported);
    }
    expect(said[0]).toMatch(/^The browser found no graphics card that it may use\. Switch on /);
    expect(said[1]).toMatch(/^The library computes another model than this one, or is no library\. Check it /);
  });
});
