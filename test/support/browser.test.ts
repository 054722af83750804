import { describe, expect, test } from "bun:test";
import { noBrowser, openBrowser, webGpuFlags } from "./browser.ts";

describe.skipIf(noBrowser !== "")(`Chromium ${noBrowser && `(skipped: ${noBrowser})`}`, () => {
  test("runs a page, and its script", async () => {
    await using browser = await openBrowser();
    const page = await browser.newPage();
    await page.setContent("<h1>Safe</h1><script>document.querySelector('h1').append(' ', 'Delta')</script>");
    expect(await page.$eval("h1", (heading) => heading.textContent)).toBe("Safe Delta");
  });

  test("has WebGPU on the processor when it is asked for", async () => {
    await using browser = await openBrowser(webGpuFlags);
    const page = await browser.newPage();
    using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("") });
    await page.goto(server.url.href);
    const features = await page.evaluate("navigator.gpu.requestAdapter().then((adapter) => [...adapter.features])");
    expect(features).toContain("core-features-and-limits");
    expect(features).not.toContain("shader-f16");
  });
});
