import { describe, expect, test } from "bun:test";
import { lossPlot, lossSvg } from "@safedelta/report";

const log = Array.from({ length: 200 }, (_, i) => ({ update: i + 1, loss: 4 / (1 + i / 20) }));

describe("loss of a training", () => {
  test("for a terminal: falls from the top left, one mark a column, no notes", () => {
    const lines = lossPlot(log).split("\n");
    expect(lines[0]).toContain("loss (nats a token)");
    expect(lines[1]).toMatch(/^ *\d\.\d+ ┤●/);
    expect(lines.join("\n")).not.toContain("Several points");
    const marks = lines.slice(1, 14).join("").split("●").length - 1;
    expect(marks).toBe(50);
  });

  test("of one update, and of a loss that is 0, can be drawn", () => {
    for (const loss of [1.5, 0]) {
      expect(lossPlot([{ update: 1, loss }])).toContain("●");
      expect(lossSvg([{ update: 1, loss }])).not.toContain("NaN");
    }
  });

  test("as SVG: one point an update, the first at the top left, the last at the right", () => {
    const svg = lossSvg(log);
    const points =
      /points="([^"]+)"/
        .exec(svg)?.[1]
        .split(" ")
        .map((pair) => pair.split(",").map(Number)) ?? [];
    expect(points.length).toBe(200);
    expect(points[0]).toEqual([56, 56]);
    expect(points[199][0]).toBe(664);
    for (const [i, [x, y]] of points.entries())
      if (i > 0) expect(x > points[i - 1][0] && y >= points[i - 1][1]).toBe(true);
    expect(lossSvg(log)).toBe(svg);
  });
});
