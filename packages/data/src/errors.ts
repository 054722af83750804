/** Data that cannot be used: `message` starts with the file and the place, then says what is wrong and what to do. */
export class DataError extends Error {
  override readonly name = "DataError";
  /**
   * @param file the file the data came from
   * @param line 1-based: line of JSONL, last line of a CSV record, item of a JSON array, row of parquet; undefined for the file as a whole
   */
  constructor(
    readonly file: string,
    readonly line: number | undefined,
    problem: string,
  ) {
    super(`${file}${line === undefined ? "" : `:${line}`}: ${problem}`);
  }
}
