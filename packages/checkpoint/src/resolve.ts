import { dirname, extname } from "node:path";
import { classifyPath } from "./classify.ts";
import { CheckpointError } from "./errors.ts";

/** A Hub repository and a branch, tag or commit of it. */
export interface HubId {
  /** `org/name` */
  readonly repo: string;
  readonly revision: string;
  /** A model unless said. */
  readonly type?: "model" | "dataset";
}

/** What a model spelling means. `chain`: the adapter `adapter` on top of the model `base`, both spellings. */
export type Resolved =
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "adapter"; readonly path: string }
  | { readonly kind: "gguf"; readonly path: string }
  | { readonly kind: "hub"; readonly id: HubId }
  | { readonly kind: "chain"; readonly base: string; readonly adapter: string };

const hubSpelling = /^(?<repo>[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*)(@(?<revision>[\w./-]+))?$/;

/** Reads `org/name[@revision]`, or undefined for another spelling. The revision defaults to `main`. */
export function parseHubId(spec: string): HubId | undefined {
  const groups = hubSpelling.exec(spec)?.groups;
  const { repo, revision = "main" } = groups ?? {};
  const isSafe = ![repo, revision].some((part) => part?.split("/").includes(".."));
  return repo !== undefined && isSafe ? { repo, revision } : undefined;
}

/** Splits `base+adapter` at the last + whose right side exists, else at the last + (names may hold a + themselves). */
async function splitChain(spec: string): Promise<Resolved | undefined> {
  for (let at = spec.lastIndexOf("+"); at > 0; at = spec.lastIndexOf("+", at - 1))
    if ((await classifyPath(spec.slice(at + 1))) !== "absent")
      return { kind: "chain", base: spec.slice(0, at), adapter: spec.slice(at + 1) };
  const at = spec.lastIndexOf("+");
  return at > 0 ? { kind: "chain", base: spec.slice(0, at), adapter: spec.slice(at + 1) } : undefined;
}

const spellings = "write a model folder, FOLDER+ADAPTER, FILE.gguf, or a Hub id ORG/NAME[@REVISION]";

function refuse(spec: string, kind: "safetensors" | "state" | "unknown"): CheckpointError {
  const reasons = {
    safetensors: "is a single safetensors file; name the folder that holds it and config.json",
    state: "is a prepared state, not a model",
    unknown: `is not a model: no config.json, weights or adapter there; ${spellings}`,
  };
  return new CheckpointError("not-found", `${spec}: ${reasons[kind]}`, { file: spec });
}

const fileEndings = [".gguf", ".safetensors", ".bin", ".pt", ".pth", ".json", ".jsonl", ".yaml", ".zip"];

/**
 * Why a spelling that could be a Hub id is taken for a local path that is not there; undefined when it is not. A mistyped path
 * must not become a download of someone else's model.
 */
async function whyLocal(spec: string): Promise<string | undefined> {
  if (spec.includes("@")) return undefined; // only a Hub id has a revision
  if (fileEndings.includes(extname(spec).toLowerCase())) return `it ends in ${extname(spec)}`;
  const parent = dirname(spec);
  return (await classifyPath(parent)) === "absent" ? undefined : `the folder ${parent} is here`;
}

/**
 * The one place where a model spelling gets its meaning, for every command. A local path that exists wins over a Hub id; what
 * looks like a path (a file's ending, a folder that is there) is one even when nothing stands there.
 * @throws CheckpointError "not-found" when the spelling means nothing
 */
export async function resolveSpec(spec: string): Promise<Resolved> {
  const kind = await classifyPath(spec);
  if (kind === "model") return { kind: "folder", path: spec };
  if (kind === "adapter" || kind === "gguf") return { kind, path: spec };
  if (kind !== "absent") throw refuse(spec, kind);
  const chain = await splitChain(spec);
  if (chain) return chain;
  const id = parseHubId(spec);
  const why = id && (await whyLocal(spec));
  if (id && !why) return { kind: "hub", id };
  const next = why ? `it is taken for a local path, since ${why}; a model of the Hub is ${spec}@main` : spellings;
  throw new CheckpointError("not-found", `${spec}: there is no such file or folder; ${next}`, { file: spec });
}
