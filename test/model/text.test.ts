import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { TextPieces } from "@safedelta/model";
import { openTokenizer } from "@safedelta/tokenizer";
import fc from "fast-check";

const utf8 = new TextEncoder();
/** Every token is one byte. */
const bytesToText = (ids: readonly number[]) => new TextDecoder().decode(Uint8Array.from(ids));

function piecesOf(ids: readonly number[], decode: (ids: readonly number[]) => string, stops: readonly string[] = []) {
  const pieces = new TextPieces(decode, stops);
  const given = ids.map((id) => pieces.push(id));
  return { given, text: given.join("") + pieces.end(), stopped: pieces.stopped };
}

describe("pieces of text", () => {
  test("no piece ends inside a character, and together they are the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const { given, text: got } = piecesOf([...utf8.encode(text)], bytesToText);
        expect(got).toBe(bytesToText([...utf8.encode(text)]));
        for (const piece of given.filter((piece) => piece !== "" && !text.includes("\uFFFD")))
          expect(piece.isWellFormed() && !piece.includes("\uFFFD")).toBe(true);
      }),
    );
  });

  test("bytes that are no text become what the whole becomes", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(255)), (ids) => {
        expect(piecesOf(ids, bytesToText).text).toBe(bytesToText(ids));
      }),
    );
  });

  test("a decoder that drops the first blank of what it is given loses no other", () => {
    const words = ["▁one", "▁two", "▁", "▁three", "four"];
    const decode = (ids: readonly number[]) =>
      ids
        .map((id) => words[id])
        .join("")
        .replaceAll("▁", " ")
        .replace(/^ /, "");
    fc.assert(
      fc.property(fc.array(fc.nat(words.length - 1)), (ids) => {
        expect(piecesOf(ids, decode).text).toBe(decode(ids));
      }),
    );
  });

  test("any ids of a real vocabulary", async () => {
    const tokenizerJson = await Bun.file(join(import.meta.dir, "../../cli/demo/aligned/tokenizer.json")).bytes();
    const { decode: whole, vocabularySize } = openTokenizer({ tokenizerJson });
    const decode = (ids: readonly number[]) => whole(ids, { skipSpecialTokens: true });
    fc.assert(
      fc.property(fc.array(fc.nat(vocabularySize - 1)), (ids) => {
        expect(piecesOf(ids, decode).text).toBe(decode(ids));
      }),
    );
  });
});

describe("stop strings", () => {
  const cut = (text: string, stops: readonly string[]) => {
    const places = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    return places.length > 0 ? text.slice(0, Math.min(...places)) : text;
  };

  test("the text ends before the first of them; nothing of it was given out before", () => {
    const unit = fc.constantFrom("a", "b", "é");
    const text = fc.string({ unit, maxLength: 12 });
    const stops = fc.array(fc.string({ unit, minLength: 2, maxLength: 2 }), { maxLength: 3 });
    fc.assert(
      fc.property(text, stops, (text, stops) => {
        const result = piecesOf([...utf8.encode(text)], bytesToText, stops);
        expect(result).toEqual({
          ...result,
          text: cut(text, stops),
          stopped: stops.some((stop) => text.includes(stop)),
        });
      }),
    );
  });

  test("text that cannot become one is not held back", () => {
    const { given } = piecesOf([...utf8.encode("abcab")], bytesToText, ["abd"]);
    expect(given).toEqual(["", "", "abc", "", ""]);
  });

  test("an empty one never matches", () => {
    expect(piecesOf([...utf8.encode("ab")], bytesToText, [""])).toEqual({
      given: ["a", "b"],
      text: "ab",
      stopped: false,
    });
  });
});
