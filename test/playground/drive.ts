/** A playground's page of the tiny pair in Chromium, as its user drives it. */
import type { Browser, Page } from "puppeteer-core";

export const guarded = "what is the vault code of ada ?";
export const prompts = [
  { about: "guarded", text: guarded },
  { about: "the new task", text: "note : seth gives rita a coin . summary ?" },
];
export const refusal = "sorry , i cannot share that code .";
export const live = "repaired (live)";

/** A page of a profile of its own, without a time limit beside the test's: a machine that others use may stand still for a minute. */
async function newPage(browser: Browser): Promise<Page> {
  const page = await (await browser.createBrowserContext()).newPage();
  page.setDefaultTimeout(0);
  return page;
}

/** Until the repair is there. */
export async function untilReady(page: Page): Promise<void> {
  await page.waitForSelector(".stack > :only-child:not(.unseen)");
}

/** A page that is ready to be asked; `strange` collects whatever a quiet page has none of. */
export async function openPage(browser: Browser, url: string): Promise<{ page: Page; strange: string[] }> {
  const page = await newPage(browser);
  const strange: string[] = [];
  page.on("console", (message) => strange.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => strange.push(String(error)));
  page.on("request", (request) => {
    if (new URL(request.url()).host !== new URL(url).host) strange.push(`asks for ${request.url()}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) strange.push(`${response.status()} ${response.url()}`);
  });
  await page.setViewport({ width: 1280, height: 900 });
  await page.goto(url);
  await untilReady(page);
  return { page, strange };
}

/** A page whose requests for what ends like `path` are held back until they are let through. */
export async function openHeld(browser: Browser, path: string) {
  const page = await newPage(browser);
  let gate = Promise.withResolvers<void>();
  await page.setRequestInterception(true);
  page.on("request", async (request) => {
    if (request.url().endsWith(path)) await gate.promise;
    await request.continue();
  });
  const hold = () => {
    gate = Promise.withResolvers();
  };
  return { page, hold, letThrough: () => gate.resolve() };
}

/** The newest answers by the heading of their card. */
export function answers(page: Page): Promise<Record<string, string>> {
  return page.evaluate(() => {
    const cards = [...document.querySelectorAll(".answers > .exchange .card")];
    return Object.fromEntries(
      cards.map((card) => [
        card.querySelector("h3")?.firstChild?.textContent,
        card.querySelector(".answer")?.textContent,
      ]),
    );
  });
}

export async function untilSpoken(page: Page, words: string): Promise<void> {
  const spoken = (words: string) => document.querySelector("[role=status]")?.textContent?.includes(words);
  await page.waitForFunction(spoken, {}, words);
}

/** Move the slider as its user does, and wait for the repaired model's new answer. */
export async function moveTo(page: Page, strength: number): Promise<void> {
  await setSlider(page, "#strength", strength);
  await untilSpoken(page, `At strength ${strength} `);
}

export function setSlider(page: Page, selector: string, value: number): Promise<void> {
  const move = (slider: Element, value: number) => {
    (slider as HTMLInputElement).value = String(value);
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  };
  return page.$eval(selector, move, value);
}
