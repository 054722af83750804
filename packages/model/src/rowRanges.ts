/** Hands out ranges of rows of a cache, the first that is free and long enough. */
export class RowRanges {
  /** Taken ranges in ascending order. */
  private readonly taken: { readonly start: number; readonly end: number }[] = [];

  constructor(readonly nRows: number) {}

  /** First row of a free range of this length, which is taken by this; undefined where there is none. */
  take(length: number): number | undefined {
    let start = 0;
    let place = 0;
    while (place < this.taken.length && this.taken[place].start - start < length) start = this.taken[place++].end;
    if (this.nRows - start < length) return undefined;
    this.taken.splice(place, 0, { start, end: start + length });
    return start;
  }

  /** Give back the range that begins at `start` and is `length` long. */
  free(start: number, length: number): void {
    const place = this.taken.findIndex((range) => range.start === start && range.end === start + length);
    if (place >= 0) this.taken.splice(place, 1);
  }
}
