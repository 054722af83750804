import { describe, expect, test } from "bun:test";
import { lossPlot, plotSvg, type TrainingReport, trainingPlot } from "@safedelta/report";

const log = Array.from({ length: 200 }, (_, i) => ({ update: i + 1, loss: 4 / (1 + i / 20) }));

const model = { spec: "m", name: "m", hash: "0" };
const logOf = (entries: { update: number; loss: number }[]): TrainingReport["log"] =>
  entries.map((entry) => ({ ...entry, epoch: 1, rate: 1e-3, gradientNorm: 1, nTokens: 9, nTargets: 3 }));

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
      expect(plotSvg(trainingPlot({ log: logOf([{ update: 1, loss }]), model }))).not.toMatch(/NaN|Infinity/);
    }
  });

  test("as a picture: falls from the top left to the right, the same bytes each time", () => {
    const svg = plotSvg(trainingPlot({ log: logOf(log), model }));
    const [, path] = /class="line" d="M([^"]+)"/.exec(svg) ?? [];
    const points = path.split("L").map((pair) => pair.split(" ").map(Number));
    expect(points.length).toBe(200);
    expect(points[199][0]).toBe(544);
    for (const [i, [x, y]] of points.entries())
      if (i > 0) expect(x > points[i - 1][0] && y >= points[i - 1][1]).toBe(true);
    expect(plotSvg(trainingPlot({ log: logOf(log), model }))).toBe(svg);
  });
});
