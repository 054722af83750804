/** Token ids to text, as a tokenizer does it. */
export type Decode = (ids: readonly number[]) => string;

/** What a decoder of UTF-8 writes for bytes that are no whole character (yet). */
const incomplete = "\uFFFD";

/**
 * Makes text of tokens as they come: a piece never ends inside a character, and nothing is given out that a stop string may yet
 * take back. Pieces joined are the decoded answer up to the first stop string.
 */
export class TextPieces {
  private readonly ids: number[] = [];
  /** Tokens from `first` on are decoded again with each new one, since some decoders look back; those before `given` are out. */
  private first = 0;
  private given = 0;
  /** Whole characters that may be the beginning of a stop string. */
  private held = "";
  private found = false;
  private certain = 0;

  /** @param stops texts that end the answer and do not belong to it; empty ones never match */
  constructor(
    private readonly decode: Decode,
    private readonly stops: readonly string[] = [],
  ) {}

  /** True once a stop string has come; nothing is given out from then on. */
  get stopped(): boolean {
    return this.found;
  }

  /** UTF-16 units of text that is certain, what is held back for a stop string included. */
  get nCertain(): number {
    return this.certain;
  }

  /** The text that one more token makes certain. */
  push(id: number): string {
    if (this.found) return "";
    this.ids.push(id);
    const before = this.decode(this.ids.slice(this.first, this.given));
    const now = this.decode(this.ids.slice(this.first));
    if (now.length <= before.length || now.endsWith(incomplete)) return "";
    this.first = this.given;
    this.given = this.ids.length;
    return this.release(now.slice(before.length));
  }

  /** What is left when no token comes any more. */
  end(): string {
    if (this.found) return "";
    const before = this.decode(this.ids.slice(this.first, this.given));
    const rest = this.release(this.decode(this.ids.slice(this.first)).slice(before.length));
    const last = this.found ? "" : this.held;
    this.held = "";
    return rest + last;
  }

  private release(text: string): string {
    this.certain += text.length;
    const all = this.held + text;
    const at = firstOf(all, this.stops);
    this.found = at >= 0;
    const certain = this.found ? at : all.length - beginningOf(all, this.stops);
    this.held = this.found ? "" : all.slice(certain);
    return all.slice(0, certain);
  }
}

/** Where the first of these strings begins in a text; -1 where there is none. */
function firstOf(text: string, stops: readonly string[]): number {
  const places = stops.filter((stop) => stop !== "").map((stop) => text.indexOf(stop));
  return places.reduce((least, at) => (at >= 0 && (least < 0 || at < least) ? at : least), -1);
}

/** Length of the longest end of a text with which one of these strings begins. */
function beginningOf(text: string, stops: readonly string[]): number {
  const most = Math.min(text.length, Math.max(0, ...stops.map(({ length }) => length - 1)));
  for (let length = most; length > 0; length--)
    if (stops.some((stop) => stop.startsWith(text.slice(-length)))) return length;
  return 0;
}
