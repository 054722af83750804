import { describe, expect, test } from "bun:test";
import { type RepairReport, ReportError, reportJson, totalsOf } from "@safedelta/report";
import fc from "fast-check";
import { linear, sampleReport } from "./sampleReport.ts";

describe("totalsOf", () => {
  test("losses add, norms add in squares, kept shares weigh by size", () => {
    const small = linear({ rows: 1, cols: 10, keptShare: 1 });
    const large = linear({ rows: 3, cols: 10, keptShare: 0.2, deltaNorm: 4, tunedDeltaNorm: 12, fullSafetyLoss: 2 });
    const { keptShare, ...totals } = totalsOf([small, large]);
    expect(keptShare).toBeCloseTo((10 + 6) / 40, 15);
    expect(totals).toEqual({
      nLinears: 2,
      nWeights: 40,
      safetyLoss: 0.06,
      safetyLossShare: 0.02,
      fullSafetyLoss: 3,
      utilityGap: 32,
      deltaNorm: 5,
      tunedDeltaNorm: 13,
      budget: 0.06,
      spent: 0.06,
    });
  });

  test("modes with blocks spend in the blocks' units", () => {
    const blocks = [
      { limit: 2, spent: 1.5 },
      { limit: 2, spent: 0.25 },
    ];
    expect(totalsOf([linear({ budget: 4, blocks })])).toMatchObject({ budget: 4, spent: 1.75, safetyLoss: 0.03 });
  });

  test("nothing changed is a share of 0, not NaN", () => {
    const untouched = linear({ safetyLoss: 0, fullSafetyLoss: 0, deltaNorm: 0, tunedDeltaNorm: 0 });
    expect(totalsOf([untouched]).safetyLossShare).toBe(0);
    expect(totalsOf([]).keptShare).toBe(0);
  });
});

describe("reportJson", () => {
  test("holds everything, under a schema version, and reads back", () => {
    const report = sampleReport(3);
    expect(JSON.parse(reportJson(report))).toEqual({ schemaVersion: 2, ...report, seal: expect.any(String) });
    expect(reportJson(report)).toStartWith('{\n  "schemaVersion": 2,\n  "aligned": {\n    "hash": "a1",');
    expect(reportJson(report)).toEndWith("}\n");
  });

  test("the order in which a report was put together leaves no trace", () => {
    const report = sampleReport(2);
    const reversed = Object.fromEntries(Object.entries(report).reverse()) as unknown as RepairReport;
    const layers = report.layers.map(({ layer, linears }) => ({ linears, layer }));
    expect(reportJson({ ...reversed, layers })).toBe(reportJson(report));
  });

  test("numbers come back bit for bit, Infinity as its name, NaN not at all", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), (value) => {
        const text = reportJson(sampleReport(1, { layers: [{ layer: 0, linears: [linear({ strength: value })] }] }));
        expect(Number(JSON.parse(text).layers[0].linears[0].strength)).toBe(value === 0 ? 0 : value);
      }),
      { seed: 5 },
    );
    const broken = sampleReport(1, { layers: [{ layer: 0, linears: [linear({ utilityGap: Number.NaN })] }] });
    expect(() => reportJson(broken)).toThrow("report.layers[0].linears[0].utilityGap");
    expect(() => reportJson(broken)).toThrow(ReportError);
  });
});
