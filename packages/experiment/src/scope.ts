import { suggest } from "@safedelta/data";
import { ExperimentError } from "./errors.ts";

/** A text whose variables are filled in. */
export interface Resolved {
  /** As it stands on the command line. */
  readonly text: string;
  /** What decides the result: in the place of a path, the hash of what lies there or the id of the step that makes it. */
  readonly identity: string;
  /** Ids of the steps that make what it names. */
  readonly needs: readonly string[];
}

/** What a name stands for: a text, which may hold names itself, or what a step makes. */
export type Meaning = string | (() => Resolved);

/** Names with their meanings, and the hash of what lies on this machine under a word (undefined: nothing does). */
export interface Scope {
  readonly names: ReadonlyMap<string, Meaning>;
  hashOf(word: string): string | undefined;
}

/**
 * Fill in the `${names}` of a text.
 * @param where of messages: whose text it is
 * @throws ExperimentError for an unknown name, and for one that stands for itself
 */
export function resolveText(text: string, scope: Scope, where: string, open: readonly string[] = []): Resolved {
  const pieces = text.split(/\$\{([^}]*)\}/).map((piece, i) => {
    if (i % 2 === 1) return meaningOf(piece, scope, where, open);
    return { text: piece, identity: undefined, needs: [] };
  });
  return join(pieces, scope);
}

/** A piece between artefacts; without an identity where it is the user's own words. */
type Piece = Omit<Resolved, "identity"> & { readonly identity: string | undefined };

function meaningOf(name: string, scope: Scope, where: string, open: readonly string[]): Piece {
  const meaning = scope.names.get(name);
  if (meaning === undefined)
    throw new ExperimentError(`${where}: \${${name}} is not known.${suggest(name, [...scope.names.keys()])}`);
  if (typeof meaning === "function") return meaning();
  if (open.includes(name)) throw new ExperimentError(`${where}: ${[...open, name].join(" → ")} stands for itself.`);
  const { text, identity, needs } = resolveText(meaning, scope, where, [...open, name]);
  return { text, identity: needs.length > 0 ? identity : undefined, needs };
}

/** Neighbouring words of the user's own are one word: a path may be made of several variables. */
function join(pieces: readonly Piece[], { hashOf }: Scope): Resolved {
  let [identity, words, followsArtefact] = ["", "", false];
  const close = () => {
    const inArtefact = followsArtefact && words.startsWith("/");
    identity += (inArtefact ? undefined : hashOf(words)) ?? words;
    words = "";
  };
  for (const piece of pieces) {
    if (piece.identity === undefined) words += piece.text;
    else {
      close();
      identity += piece.identity;
      followsArtefact = true;
    }
  }
  close();
  return { text: pieces.map(({ text }) => text).join(""), identity, needs: pieces.flatMap(({ needs }) => needs) };
}
