import { describe, expect, test } from "bun:test";
import { ReportError, table } from "@safedelta/report";
import fc from "fast-check";

/** The part of `line` between two terminal columns, trimmed. */
function slice(line: string, start: number, end: number): string {
  let at = 0;
  let text = "";
  for (const { segment } of new Intl.Segmenter().segment(line)) {
    if (at >= start && at < end) text += segment;
    at += Bun.stringWidth(segment);
  }
  return text.trim();
}

/** Where the columns lie, read off the rule. */
function columnsOf(rule: string): [number, number][] {
  return [...rule.matchAll(/─+/g)].map((match) => [match.index, match.index + match[0].length]);
}

describe("table", () => {
  test("header, rule, rows; first column left, others right", () => {
    const rows = [
      ["aligned", "100.0 %", "1"],
      ["日本", "0 %", "2,660"],
    ];
    expect(table(["model", "refusal", "n"], rows).split("\n")).toEqual([
      "model    refusal      n",
      "───────  ───────  ─────",
      "aligned  100.0 %      1",
      "日本         0 %  2,660",
    ]);
  });

  test("alignment and ASCII as asked", () => {
    const text = table(
      ["a", "b"],
      [
        ["1", "x"],
        ["22", "yy"],
      ],
      { align: ["right", "left"], ascii: true },
    );
    expect(text.split("\n")).toEqual([" a  b", "--  --", " 1  x", "22  yy"]);
  });

  test("every cell stands inside its column, whatever its characters", () => {
    const cell = fc.array(fc.constantFrom("a", "Z", "9", " ", "é", "e\u0301", "日", "ｗ", "👍", "\t", "\n", "─"), {
      maxLength: 8,
    });
    const rows = fc.array(
      fc.array(
        cell.map((parts) => parts.join("")),
        { minLength: 3, maxLength: 3 },
      ),
      { maxLength: 6 },
    );
    const align = fc.constantFrom("left" as const, "right" as const);
    fc.assert(
      fc.property(rows, fc.array(align, { minLength: 3, maxLength: 3 }), (data, sides) => {
        const [header, rule, ...lines] = table(["p", "q", "r"], data, { align: sides }).split("\n");
        const columns = columnsOf(rule);
        expect(columns).toHaveLength(3);
        expect(lines).toHaveLength(data.length);
        for (const line of [header, ...lines]) {
          expect(line).toBe(line.trimEnd());
          expect(Bun.stringWidth(line)).toBeLessThanOrEqual(Bun.stringWidth(rule));
        }
        lines.forEach((line, row) => {
          columns.forEach(([start, end], col) => {
            expect(slice(line, start, end)).toBe(data[row][col].replace(/\s+/g, " ").trim());
          });
        });
      }),
      { seed: 3 },
    );
  });

  test("refuses ragged rows and alignments", () => {
    expect(() => table(["a", "b"], [["1", "2"], ["1"]])).toThrow("row 2 has 1 cells, the header has 2");
    expect(() => table(["a", "b"], [], { align: ["left"] })).toThrow(ReportError);
  });
});
