/** What a token is as text where it is a part of a character only. */
const incomplete = "\uFFFD";

/** Finds tokens, one after the other, in the text that they were made of. */
export class Places {
  private end = 0;
  /** Tokens without a place since the last that had one: parts of characters. */
  private nParts = 0;

  constructor(readonly text: string) {}

  /** Where a token begins, in UTF-16 units. One that is not in the text, as a special one, has the place where it would be. */
  next(token: string): number {
    const word = token.trimStart();
    const found = [this.at(token, this.end), this.at(word, this.afterBlanks()), this.afterParts(token)].find(
      (place) => place !== undefined,
    );
    if (found === undefined) {
      if (token.includes(incomplete)) this.nParts++;
      return this.end;
    }
    this.nParts = 0;
    this.end = found + (this.at(token, found) === undefined ? word : token).length;
    return found;
  }

  private at(token: string, place: number): number | undefined {
    return token !== "" && this.text.startsWith(token, place) ? place : undefined;
  }

  private afterBlanks(): number {
    let place = this.end;
    while (/\s/.test(this.text.charAt(place))) place++;
    return place;
  }

  /** Each part stands for at least a byte, and no byte for more than one unit. */
  private afterParts(token: string): number | undefined {
    const places = Array.from({ length: this.nParts }, (_, i) => this.end + i + 1);
    return places.find((place) => this.at(token, place) !== undefined);
  }
}
