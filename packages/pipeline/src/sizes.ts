const units = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** Bytes that are needed, in the largest unit of which there is one: rounded up to a tenth, so that what is said suffices. */
export function neededText(bytes: number): string {
  return sizeText(bytes, Math.ceil);
}

/** Bytes that there are, rounded down to a tenth. */
export function freeText(bytes: number): string {
  return sizeText(bytes, Math.floor);
}

function sizeText(bytes: number, round: (tenths: number) => number): string {
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${round((10 * bytes) / 1024 ** power) / 10} ${units[power]}`;
}

/** Seconds in the unit a person would use. */
export function formatDuration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
