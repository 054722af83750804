import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type ExperimentReport, pageDataId, reportData, reportDataJson, reportPage } from "@safedelta/report";
import type { Browser, Page } from "puppeteer-core";
import { noBrowser, openBrowser } from "../support/browser.ts";
import { scratchFolder } from "../support/pico.ts";
import { sampleEvaluation, sampleExperiment, samplePage } from "./samplePage.ts";
import { sampleReport } from "./sampleReport.ts";

setDefaultTimeout(120_000); // a browser starts slowly on a busy machine

/** What would run, load or open something if it were taken for markup. */
const hostile = `</code></script><script>document.title = "owned"</script><img src="https://example.invalid/x" onerror="document.title = 'owned'">`;

const [sampleCase] = sampleExperiment.cases;
/** More rows than fit a screen. */
const longExperiment: ExperimentReport = {
  ...sampleExperiment,
  cases: [
    { ...sampleCase, rows: Array.from({ length: 40 }, (_, i) => ({ ...sampleCase.rows[0], label: `row ${i}` })) },
  ],
};

const evil = reportData(
  samplePage({
    repairs: [sampleReport(40, { command: hostile, tuned: { spec: hostile, name: hostile, hash: hostile } })],
    evaluations: [sampleEvaluation("tuned", [1, 1, 1], { task: hostile, harmful: true })],
    showHarmful: true,
    experiments: [sampleExperiment, longExperiment],
  }),
);

describe.skipIf(noBrowser !== "")(`a report in Chromium ${noBrowser && `(skipped: ${noBrowser})`}`, () => {
  let scratch: Awaited<ReturnType<typeof scratchFolder>>;
  let browser: Browser;
  beforeAll(async () => {
    scratch = await scratchFolder();
    await Bun.write(join(scratch.path, "report.html"), reportPage(evil));
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser.close();
    await scratch[Symbol.asyncDispose]();
  });

  /** The page from its file, with all that the browser complains of and asks for. */
  async function openPage(width = 1280): Promise<{ page: Page; complaints: string[]; requests: string[] }> {
    const page = await browser.newPage();
    const [complaints, requests]: [string[], string[]] = [[], []];
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("request", (request) => requests.push(request.url()));
    await page.setViewport({ width, height: 900 });
    await page.goto(pathToFileURL(join(scratch.path, "report.html")).href);
    return { page, complaints, requests };
  }

  test("opens from a file without a complaint, asks for nothing else, and holds its own data", async () => {
    const { page, complaints, requests } = await openPage();
    expect(complaints).toEqual([]);
    expect(requests).toHaveLength(1);
    const data = await page.$eval(`#${pageDataId}`, (element) => element.textContent);
    expect(JSON.parse(String(data))).toEqual(JSON.parse(reportDataJson(evil)));
    expect(await page.title()).toBe(`Safe Delta repair of ${hostile}`);
    expect(await page.$$eval("script, img", (found) => found.length)).toBe(1);
    await page.close();
  });

  test("its style sheet is in force, and no other style would be", async () => {
    const { page, complaints } = await openPage();
    expect(await page.$eval(".heat td.h7", (cell) => getComputedStyle(cell).backgroundColor)).toBe("rgb(8, 48, 107)");
    await page.$eval("h1", (heading) => heading.setAttribute("style", "color: red"));
    expect(await page.$eval("h1", (heading) => getComputedStyle(heading).color)).not.toBe("rgb(255, 0, 0)");
    expect(complaints).toEqual([expect.stringContaining("Content Security Policy")]);
    await page.close();
  });

  for (const width of [320, 768, 3840])
    test(`nothing sticks out sideways at ${width} pixels`, async () => {
      const { page } = await openPage(width);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
      await page.close();
    });

  test("a wide table scrolls in its own box, and what heads its rows stays in sight", async () => {
    const { page } = await openPage(320);
    const box = "#experiments .scroll:has(table)";
    const places = () =>
      page.$eval(box, (element) => {
        const left = (selector: string) => element.querySelector(selector)?.getBoundingClientRect().left ?? Number.NaN;
        return [element.getBoundingClientRect().left, left("tbody th"), left("tbody td")];
      });
    const [edge, head, cell] = await places();
    await page.focus(box);
    for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowRight");
    await page.waitForFunction((box) => (document.querySelector(box)?.scrollLeft ?? 0) > 40, {}, box);
    const [sameEdge, sameHead, moved] = await places();
    expect([head, sameEdge, sameHead]).toEqual([edge, edge, edge]);
    expect(moved).toBeLessThan(cell - 40);
    await page.close();
  });

  test("a long table scrolls in its own box below its heads, on paper it is whole", async () => {
    const { page } = await openPage();
    const box = "#experiments .tall";
    const tops = () =>
      page.$eval(box, (element) => {
        const top = (selector: string) => element.querySelector(selector)?.getBoundingClientRect().top ?? Number.NaN;
        return { box: element.getBoundingClientRect().top, head: top("thead th:nth-child(2)"), row: top("tbody tr") };
      });
    const before = await tops();
    await page.$eval(box, (element) => element.scrollTo(0, 300));
    const after = await tops();
    expect(after.head).toBe(after.box);
    expect(after.row).toBe(before.row - 300);
    await page.emulateMediaType("print");
    expect(await page.$eval(box, ({ clientHeight, scrollHeight }) => scrollHeight - clientHeight)).toBe(0);
    await page.close();
  });

  test("light and dark as the reader has it, paper always light", async () => {
    const { page } = await openPage();
    const ground = () => page.$eval("body", (body) => getComputedStyle(body).backgroundColor);
    const prefer = (value: string) => page.emulateMediaFeatures([{ name: "prefers-color-scheme", value }]);
    await prefer("light");
    expect(await ground()).toBe("rgb(255, 255, 255)");
    await prefer("dark");
    expect(await ground()).toBe("rgb(15, 18, 22)");
    await page.emulateMediaType("print");
    expect(await ground()).toBe("rgb(255, 255, 255)");
    await page.close();
  });

  test("what may do harm is folded away until it is opened, which the keyboard can", async () => {
    const { page } = await openPage();
    const seen = () => page.$eval("details.warning .said", (said) => said.checkVisibility());
    expect(await seen()).toBe(false);
    await page.focus("details.warning summary");
    await page.keyboard.press("Enter");
    expect(await seen()).toBe(true);
    await page.close();
  });

  test("what a screen reader finds: headings in order, named regions, tables and plots", async () => {
    const { page } = await openPage();
    const levels = await page.$$eval("h1, h2, h3, h4", (all) => all.map(({ tagName }) => Number(tagName[1])));
    expect(levels[0]).toBe(1);
    expect(levels.slice(1).filter((level, i) => level > levels[i] + 1)).toEqual([]);
    const tree = JSON.stringify(await page.accessibility.snapshot({ interestingOnly: false }));
    expect(tree).toContain('"name":"Safety loss against distance from the fine-tuned model. ');
    expect(tree).toContain('"role":"rowheader"');
    const ids = await page.$$eval("[id]", (all) => all.map(({ id }) => id));
    expect(new Set(ids).size).toBe(ids.length);
    const links = await page.$$eval('a[href^="#"]', (all) =>
      all.map((link) => String(link.getAttribute("href")).slice(1)),
    );
    expect(links.filter((id) => !ids.includes(id))).toEqual([]);
    await page.close();
  });
});
