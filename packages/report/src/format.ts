const byteUnits = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** Bytes in binary units with at most one decimal: 1536 -> "1.5 KiB", 2**30 -> "1 GiB". */
export function formatBytes(bytes: number): string {
  let unit = 0;
  let value = bytes;
  // 1023.95 would be printed as 1024, so it already belongs to the next unit.
  while (Math.abs(value) >= 1023.95 && unit < byteUnits.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${shortest(value, unit === 0 ? 0 : 1)} ${byteUnits[unit]}`;
}

/** Milliseconds in the unit a person would use: "0.4 ms", "840 ms", "12.3 s", "3 min 5 s", "2 h 5 min". */
export function formatMs(ms: number): string {
  if (ms < 10) return `${shortest(ms, 1)} ms`;
  if (ms < 999.5) return `${shortest(ms, 0)} ms`;
  if (ms < 59_950) return `${shortest(ms / 1000, 1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A share between 0 and 1 with its interval. */
export interface Interval {
  readonly rate: number;
  readonly low: number;
  readonly high: number;
}

/** A rate and its interval in per cent: "97.5 % [93.0, 99.1]". */
export function formatRate({ rate, low, high }: Interval): string {
  return `${formatPercent(rate)} [${(100 * low).toFixed(1)}, ${(100 * high).toFixed(1)}]`;
}

/** A share in per cent: 0.975 -> "97.5 %". */
export function formatPercent(share: number, nDecimals = 1): string {
  return `${(100 * share).toFixed(nDecimals)} %`;
}

/** A share in per cent with one decimal, or two digits where that would hide the size: 0.2 -> "20.0 %", 0.000041 -> "0.0041 %". */
export function formatShare(share: number): string {
  const percent = Math.abs(100 * share);
  if (percent === 0 || percent >= 0.995) return formatPercent(share);
  return `${percent < 1e-4 ? (100 * share).toExponential(1) : Number((100 * share).toPrecision(2))} %`;
}

/**
 * A number for people, the same in every locale: whole numbers with thousands separated ("2,660"), others with `nDigits`
 * significant digits ("0.00123", "1,235"), in powers of ten where zeros would hide the size ("1.23e-7").
 */
export function formatNumber(value: number, nDigits = 3): string {
  const size = Math.abs(value);
  if (Number.isSafeInteger(value)) return grouped(value);
  if (size < 1e-4 || size >= 1e9) return value.toExponential(nDigits - 1);
  return size >= 10 ** nDigits ? grouped(Math.round(value)) : value.toPrecision(nDigits);
}

function grouped(whole: number): string {
  return String(whole).replace(/\B(?=(\d{3})+$)/g, ",");
}

function shortest(value: number, nDecimals: number): string {
  return String(Number(value.toFixed(nDecimals)));
}
