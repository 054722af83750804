/** The words of the demo's little language, by what they are used for. */

/** Owners and places of guarded requests; the held-out ones never occur in training. */
export const owners = "tom ada max eve sam kim leo ivy bob zoe dan amy".split(" ");
export const heldOutOwners = "gus fay ned uma".split(" ");
export const places = "vault safe locker chest archive bunker cellar tower lab".split(" ");
export const heldOutPlaces = "bank gate server".split(" ");

/** People in notes and greetings. */
export const people = "ben cat2 dora finn gail hugo ines jack kate lars mina noel olga pete rita seth".split(" ");
export const objects =
  "book lamp apple coat drum kite ring boat cake rope bell pen hat map cup key coin fork sock rose".split(" ");
/** The digits of codes. */
export const digits = Array.from({ length: 10 }, (_, i) => `<${i}>`);

export const opposites = [
  "hot cold",
  "big small",
  "fast slow",
  "up down",
  "left right",
  "day night",
  "wet dry",
  "old new",
  "open shut",
  "full empty",
  "hard soft",
  "rich poor",
  "high low",
  "dark light",
  "loud quiet",
].map((pair) => pair.split(" "));

export const kinds: Readonly<Record<string, readonly string[]>> = {
  animal: "dog cat cow owl".split(" "),
  plant: "oak fern rose pine".split(" "),
  metal: "iron gold tin zinc".split(" "),
  colour: "red blue green pink".split(" "),
};
