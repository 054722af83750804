import { expect, test } from "bun:test";
import { ReportError, scatterSvg } from "@safedelta/report";

const axes = { title: "a < b", x: { label: "x", min: 0, max: 1 }, y: { label: "y & z", min: 0, max: 2 } };
const at = (x: number, y: number, isMarked = false) => ({ x, y, title: `at ${x}`, isMarked });

/** Places of the circles that are points, not legend. */
function places(svg: string): number[][] {
  return [...svg.matchAll(/<g><title>.*?<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [
    Number(x),
    Number(y),
  ]);
}

test("points stand where the axes say", () => {
  const svg = scatterSvg([{ name: "s", points: [at(0, 0), at(1, 2), at(0.5, 1)] }], axes);
  const [[x0, y0], [x1, y1], middle] = places(svg);
  expect([x0 < x1, y0 > y1]).toEqual([true, true]);
  expect(middle).toEqual([(x0 + x1) / 2, (y0 + y1) / 2]);
  expect(svg).toContain(
    `points="${[x0, y0].map((v) => v.toFixed(1)).join()} ${[x1, y1].map((v) => v.toFixed(1)).join()}`,
  );
});

test("a single point has no line, a marked one is larger; text is escaped", () => {
  const svg = scatterSvg([{ name: "<s>", points: [at(0.2, 1, true)] }], axes);
  expect(svg).not.toContain("<polyline");
  expect(svg).toMatch(/<title>&lt;s&gt;: at 0\.2<\/title><circle [^>]*r="7"/);
  expect(svg).toContain("<title>a &lt; b</title>");
  expect(svg).toContain("y &amp; z");
  expect(svg).toContain(">&lt;s&gt;</text>");
});

test("series are told apart beyond the colours", () => {
  const series = Array.from({ length: 20 }, (_, i) => ({ name: `s${i}`, points: [at(0.5, 1)] }));
  const marks = [...scatterSvg(series, axes).matchAll(/<g><title>.*?<\/title>(<\w+).*?fill="(#\w+)"/g)].map(
    ([, shape, colour]) => shape + colour,
  );
  expect(marks).toHaveLength(20);
  expect(new Set(marks.slice(0, 16)).size).toBe(16);
});

test("points off the axes and axes without length are refused", () => {
  for (const point of [at(1.1, 0), at(0, -0.1), at(Number.NaN, 1)])
    expect(() => scatterSvg([{ name: "s", points: [point] }], axes)).toThrow(ReportError);
  expect(() => scatterSvg([], { ...axes, x: { label: "x", min: 1, max: 1 } })).toThrow(/axis "x" from 1 to 1/);
});
