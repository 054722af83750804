import { describe, expect, test } from "bun:test";
import { formatBytes, formatMs, formatNumber, formatPercent, formatRate } from "@safedelta/report";

describe("format", () => {
  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KiB"],
    [1536, "1.5 KiB"],
    [2 ** 20 - 1, "1 MiB"],
    [1.5 * 2 ** 20, "1.5 MiB"],
    [1.5 * 2 ** 30, "1.5 GiB"],
    [2 ** 50, "1024 TiB"],
  ])("%d bytes", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  test.each([
    [0.44, "0.4 ms"],
    [9.97, "10 ms"],
    [999.4, "999 ms"],
    [999.6, "1 s"],
    [12_340, "12.3 s"],
    [59_960, "1 min 0 s"],
    [185_000, "3 min 5 s"],
    [3_599_600, "1 h 0 min"],
    [7_500_000, "2 h 5 min"],
  ])("%d ms", (ms, text) => expect(formatMs(ms)).toBe(text));

  test.each([
    [0, "0"],
    [-123, "-123"],
    [2660, "2,660"],
    [-123_456, "-123,456"],
    [134_515_008, "134,515,008"],
    [0.00123456, "0.00123"],
    [12.345, "12.3"],
    [1234.5, "1,235"],
    [1.234e-7, "1.23e-7"],
    [1.5e12 + 0.5, "1.50e+12"],
    [Number.NaN, "NaN"],
    [Number.POSITIVE_INFINITY, "Infinity"],
  ])("number %p", (value, text) => expect(formatNumber(value)).toBe(text));

  test("rates in per cent", () => {
    expect(formatRate({ rate: 0.975, low: 0.93, high: 0.991 })).toBe("97.5 % [93.0, 99.1]");
    expect(formatRate({ rate: 1, low: 0.981, high: 1 })).toBe("100.0 % [98.1, 100.0]");
    expect(formatPercent(0.5, 0)).toBe("50 %");
  });
});
