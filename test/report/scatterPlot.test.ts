import { describe, expect, test } from "bun:test";
import { ReportError, type Series, scatterPlot } from "@safedelta/report";
import fc from "fast-check";

const axes = { x: { label: "new-task accuracy" }, y: { label: "guarded refusal" } };

/** The characters inside the axes, line by line. */
function inside(text: string, wall: RegExp): string[] {
  return text.split("\n").flatMap((line) => line.match(wall)?.[1] ?? []);
}

describe("scatterPlot", () => {
  test("a small one, character by character", () => {
    const series = [
      { name: "aligned", points: [{ x: 0.1, y: 1 }] },
      {
        name: "optimal",
        points: [
          { x: 0.5, y: 0.5 },
          { x: 1, y: 0 },
        ],
      },
      { name: "tuned", points: [{ x: 1, y: 0 }] },
    ];
    const text = scatterPlot(series, { ...axes, width: 21, height: 5, ascii: true });
    expect(text.split("\n")).toEqual([
      "       guarded refusal",
      "100 % +  o",
      " 75 % +",
      " 50 % +          x",
      " 25 % +",
      "  0 % +                    *",
      "      ++----+----+----+----+",
      "      0 % 25 % 50 % 75 % 100 %",
      "         new-task accuracy",
      "",
      "  o aligned",
      "  x optimal (2 points)",
      "  # tuned",
      "Several points in one place:",
      "  * near (100 %, 0 %): optimal, tuned",
    ]);
  });

  test("every point is either drawn alone or told in a note", () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    const points = fc.array(fc.record({ x: share, y: share }), { maxLength: 30 });
    const series = fc
      .array(points, { maxLength: 8 })
      .map((all) => all.map((list, i) => ({ name: `s${i}`, points: list })));
    fc.assert(
      fc.property(series, (data) => {
        const text = scatterPlot(data, { ...axes, width: 12, height: 6 });
        const marks = inside(text, /[│┤](.*)$/)
          .join("")
          .replace(/ /g, "").length;
        const notes = text.split("\n").filter((line) => line.includes(" near ("));
        const told = notes
          .flatMap((note) => note.split("): ")[1].split(", "))
          .map((name) => Number(name.split(" x")[1] ?? 1));
        const nPoints = data.reduce((sum, { points: list }) => sum + list.length, 0);
        expect(marks - notes.length + told.reduce((a, b) => a + b, 0)).toBe(nPoints);
      }),
      { seed: 4 },
    );
  });

  test("default size, ticks on the quarters, nothing but ASCII when asked", () => {
    const series = [
      {
        name: "a",
        points: [
          { x: 0, y: 0 },
          { x: 1, y: 1 },
        ],
      },
    ];
    const lines = inside(scatterPlot(series, axes), /[│┤](.*)$/);
    expect(lines).toHaveLength(17);
    expect(lines[0]).toBe(`${" ".repeat(60)}●`);
    expect(lines[16]).toBe("●");
    expect(scatterPlot(series, { ...axes, ascii: true })).toMatch(/^[\n -~]*$/);
  });

  test("axes of other units", () => {
    const format = (value: number) => value.toFixed(1);
    const y = { label: "loss", min: -1, max: 3, format };
    const text = scatterPlot([{ name: "a", points: [{ x: 0.5, y: 1 }] }], { x: axes.x, y, height: 5 });
    expect(
      text
        .split("\n")
        .slice(1, 6)
        .map((line) => line.slice(0, 4)),
    ).toEqual([" 3.0", " 2.0", " 1.0", " 0.0", "-1.0"]);
    expect(inside(text, /[│┤](.*)$/)[2]).toBe(`${" ".repeat(30)}●`);
  });

  test("refuses what it cannot show", () => {
    const one = (x: number): Series => ({ name: "a", points: [{ x, y: 0 }] });
    for (const x of [Number.NaN, 1.01, -0.01]) expect(() => scatterPlot([one(x)], axes)).toThrow(ReportError);
    expect(() => scatterPlot(new Array(9).fill(one(0)), axes)).toThrow("9 series");
    expect(() => scatterPlot([], { ...axes, x: { label: "x", min: 1, max: 1 } })).toThrow(ReportError);
    expect(() => scatterPlot([], { ...axes, width: 3 })).toThrow(ReportError);
  });
});
