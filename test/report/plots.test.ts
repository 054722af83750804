import { describe, expect, test } from "bun:test";
import {
  casePlots,
  drawPlot,
  type ExperimentCase,
  type LinePlot,
  linePlot,
  pageColors,
  plotSvg,
  ticksOf,
} from "@safedelta/report";
import { contrast } from "../support/contrast.ts";

const axis = { title: "x", type: "linear", domain: [0, 1], format: "~%" } as const;
const options: LinePlot = { title: "t", description: "d", x: axis, y: axis, points: true, rows: [] };

/** Where the marks lie, from the left and the top edge of the axes, as shares of their lengths. */
function marksIn(changes: Partial<LinePlot>): number[][] {
  const svg = drawPlot(linePlot({ ...options, ...changes })).text;
  const [, left, top, width, height] =
    /<rect class="ground" x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"/.exec(svg) ?? [];
  const marks = svg.matchAll(/class="mark" transform="translate\(([\d.-]+) ([\d.-]+)\)/g);
  return [...marks].map(([, x, y]) => [
    (Number(x) - Number(left)) / Number(width),
    (Number(y) - Number(top)) / Number(height),
  ]);
}

const near = (found: number[][]) => found.map((point) => point.map((value) => Number(value.toFixed(3))));

describe("a plot", () => {
  test("points lie where their values are, the origin below on the left", () => {
    const rows = [
      { series: "a", x: 0, y: 0 },
      { series: "a", x: 1, y: 0.25 },
    ];
    expect(near(marksIn({ rows }))).toEqual([
      [0, 1],
      [1, 0.75],
    ]);
  });

  test("a root and a logarithm spread what is small", () => {
    const rows = [{ series: "a", x: 0.25, y: 10 }];
    const changes = { x: { ...axis, type: "sqrt" }, y: { ...axis, type: "log", domain: [1, 1000] }, rows } as const;
    expect(near(marksIn(changes))).toEqual([[0.5, 0.667]]);
  });

  test("lines join a series from left to right, whatever the order; one point has none", () => {
    const rows = [0.5, 1, 0].map((x) => ({ series: "a", x, y: x }));
    const svg = drawPlot(linePlot({ ...options, rows: [...rows, { series: "b", x: 1, y: 0 }] })).text;
    const lines = [...svg.matchAll(/class="line" d="([^"]*)"/g)].map(([, d]) => d);
    expect(lines).toEqual(["M64 312L304 162L544 12"]);
  });

  test("each series has a colour, a mark and a dash; the first stands over the others", () => {
    const rows = ["a", "b", "c"].map((series, i) => ({ series, x: i / 2, y: 0 }));
    const { encoding } = linePlot({ ...options, rows });
    for (const channel of [encoding.color, encoding.shape, encoding.strokeDash])
      expect(new Set(channel?.scale.range.map((value) => JSON.stringify(value))).size).toBe(3);
    const svg = drawPlot(linePlot({ ...options, rows })).text;
    expect([...svg.matchAll(/<g class="(s\d)">/g)].map(([, name]) => name)).toEqual(["s2", "s1", "s0"]);
  });

  test("is told in words", () => {
    expect(drawPlot(linePlot(options)).text).toContain('role="img" aria-label="t. d"');
  });
});

describe("a plot as a file", () => {
  const rows = [
    { series: "<a>", x: 0, y: 0, label: "a & b", isMarked: true },
    { series: "b", x: 1, y: 0.25 },
  ];
  const svg = plotSvg(linePlot({ ...options, title: "t < u", rows }));

  test("is whole: named, on white, with its own colours and its legend, all text escaped", () => {
    expect(svg).toStartWith('<svg xmlns="http://www.w3.org/2000/svg"');
    expect(svg).toContain("<title>t &lt; u</title><desc>d</desc>");
    expect(svg).toContain(".paper{fill:#fff}");
    expect(svg).toContain(">&lt;a&gt;</text>");
    expect(svg).toContain("<title>a &amp; b</title>");
    for (const [, name] of svg.matchAll(/var\(--(\w+)\)/g)) expect(svg).toMatch(new RegExp(`[{;]--${name}:#`));
    const open = [...svg.matchAll(/<\w+[^>]*(?<!\/)>/g)].length;
    expect([...svg.matchAll(/<\/\w+>/g)]).toHaveLength(open);
  });

  test("marks what it is about; a single series needs no legend", () => {
    const scales = [...svg.matchAll(/class="mark" transform="translate\([^)]*\) scale\(([\d.]+)\)/g)];
    expect(scales.map(([, scale]) => scale).sort()).toEqual(["1", "1", "1", "1.4"]);
    expect(plotSvg(linePlot({ ...options, rows: rows.slice(1) }))).not.toContain(">b</text>");
  });
});

describe("the plots of a case", () => {
  const value = (value: number) => ({ value, low: value, high: value });
  const row = (
    method: string,
    setting: string,
    harm: number,
    task: number | undefined,
    loss?: number,
    isBest = false,
  ) => ({
    ...{ label: `${method} ${setting}`.trim(), method, isBest },
    entries: { harm: value(harm), ...(task === undefined ? {} : { task: value(task) }) },
    safetyLoss: loss === undefined ? undefined : value(loss),
  });
  const one: ExperimentCase = {
    name: "all",
    columns: [
      { name: "harm", measures: "safety", better: "lower" },
      { name: "task", measures: "utility", better: "higher" },
    ],
    rows: [
      row("tuned", "", 0.9, 0.8),
      row("optimal", "loss 0.1", 0.1, 0.7, 0.1, true),
      row("optimal", "loss 0.5", 0.3, 0.75, 0.5),
      row("optimal", "loss 0.9", 0.5, undefined, 0.9),
    ],
  };

  test("a point for each row that has both, the chosen one in a ring; none without an axis", () => {
    const { plane, loss } = casePlots(one);
    const shown = (spec: typeof plane) =>
      spec?.data.values.map(({ series, x, y, isMarked }) => [series, x, y, isMarked]);
    expect(shown(plane)).toEqual([
      ["tuned", 0.9, 0.8, false],
      ["optimal", 0.1, 0.7, true],
      ["optimal", 0.3, 0.75, false],
    ]);
    expect(shown(loss)).toEqual([
      ["optimal", 0.1, 0.7, true],
      ["optimal", 0.5, 0.75, false],
    ]);
    // What the first plot draws second is drawn like that in the other, where it is the first.
    for (const spec of [plane, loss]) {
      expect(spec?.encoding.color.scale.domain).toEqual(["tuned", "optimal"]);
      expect(spec && drawPlot(spec).text).toMatch(/<g class="s1">.*optimal loss 0.1/s);
    }
    expect(loss && plotSvg(loss)).not.toContain('class="s0"');
    expect(plane?.description).toContain("optimal loss 0.1 (chosen): harm 0.100");
    expect(plane && drawPlot(plane).text.match(/class="ring"/g)).toHaveLength(1);
    expect(casePlots({ ...one, columns: one.columns.slice(0, 1) })).toEqual({});
    expect(casePlots({ ...one, rows: one.rows.slice(0, 1) }).loss).toBeUndefined();
  });
});

describe("ticks", () => {
  const cases = [
    ["linear", [0, 1], [0, 0.2, 0.4, 0.6, 0.8, 1]],
    ["linear", [1, 320], [100, 200, 300]],
    ["linear", [-0.04, 2.5], [0, 0.5, 1, 1.5, 2, 2.5]],
    ["linear", [0, 3e-7], [0, 5e-8, 1e-7, 1.5e-7, 2e-7, 2.5e-7, 3e-7]],
    ["sqrt", [0, 1.04], [0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1]],
    ["log", [0.01, 100], [0.01, 0.1, 1, 10, 100]],
    ["log", [1e-6, 1e6], [1e-6, 0.001, 1, 1000, 1e6]],
  ] as const;
  for (const [type, domain, ticks] of cases)
    test(`${type} from ${domain.join(" to ")}`, () => {
      expect(ticksOf(type, domain)).toEqual([...ticks]);
    });
});

describe("colours can be read, light and dark", () => {
  test("contrast is measured as WCAG says", () => {
    expect(contrast("#000", "#fff")).toBeCloseTo(21, 10);
    expect(contrast("#767676", "#ffffff")).toBeCloseTo(4.54, 2);
  });

  for (const scheme of ["light", "dark"] as const) {
    const { surfaces, series, heats } = pageColors[scheme];
    test(`${scheme}: text 4.5, marks 3`, () => {
      for (const [ground, ink] of heats) expect(contrast(ground, ink)).toBeGreaterThanOrEqual(4.5);
      for (const ground of [surfaces.ground, surfaces.soft]) {
        for (const ink of [surfaces.ink, surfaces.dim, surfaces.link])
          expect(contrast(ground, ink)).toBeGreaterThanOrEqual(4.5);
        for (const color of series) expect(contrast(ground, color)).toBeGreaterThanOrEqual(3);
      }
      expect(contrast(surfaces.warnsoft, surfaces.warn)).toBeGreaterThanOrEqual(4.5);
    });
  }
});
