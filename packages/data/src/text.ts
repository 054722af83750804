import { DataError } from "./errors.ts";

/** The text of a file without its byte order mark. @throws DataError naming the line that is not UTF-8 */
export function decodeUtf8(bytes: Uint8Array, file: string): string {
  try {
    return strictUtf8(bytes);
  } catch {
    throw new DataError(file, firstBadLine(bytes), "not UTF-8 text. Save the file as UTF-8.");
  }
}

function strictUtf8(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

/** No UTF-8 character but the line feed itself holds its byte, so lines can be decoded one by one. */
function firstBadLine(bytes: Uint8Array): number | undefined {
  for (let start = 0, line = 1; start < bytes.length; line++) {
    const feed = bytes.indexOf(0x0a, start);
    const end = feed < 0 ? bytes.length : feed;
    try {
      strictUtf8(bytes.subarray(start, end));
    } catch {
      return line;
    }
    start = end + 1;
  }
  return undefined;
}
