import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Checkpoint, openCheckpoint } from "@safedelta/checkpoint";
import { openTokenizer, type Tokenizer } from "@safedelta/tokenizer";

/** Where the real model and its two adapters lie on this machine. */
export interface RealModel {
  /** SmolLM2-135M-Instruct. */
  readonly gguf: string;
  /** Spelling of the aligned model. */
  readonly aligned: string;
  /** Adapter folder on top of `aligned`. */
  readonly tuned: string;
  /** A file of the shared smollm2 folder. */
  shared(name: string): string;
}

const folder = join(process.env.SAFEDELTA_SHARED ?? join(import.meta.dir, "../../../shared"), "models", "smollm2");

function find(): { readonly model: RealModel } | { readonly absent: string } {
  const gguf = process.env.SAFEDELTA_SMOLLM2_GGUF;
  if (!gguf) return { absent: "SAFEDELTA_SMOLLM2_GGUF is not set" };
  // Set but wrong is a mistake, not a reason to skip.
  if (!existsSync(gguf)) throw new Error(`SAFEDELTA_SMOLLM2_GGUF names ${gguf}, which does not exist`);
  const shared = (name: string) => join(folder, name);
  if (!existsSync(shared("README.md"))) return { absent: "the shared files are absent" };
  return { model: { gguf, aligned: `${gguf}+${shared("aligned-adapter")}`, tuned: shared("tuned-adapter"), shared } };
}

const found = find();

/** The real model; undefined where it is absent. */
export const real = "model" in found ? found.model : undefined;

/** Why tests of the real model are skipped; empty where they run. */
export const absent = "absent" in found ? found.absent : "";

/** For code inside a suite that is skipped without the real model. */
export function realModel(): RealModel {
  if (!real) throw new Error(absent);
  return real;
}

/** The tokenizer that a model brings. */
export async function tokenizerOf({ companions, spec }: Checkpoint): Promise<Tokenizer> {
  const tokenizerJson = await companions.get("tokenizer.json")?.bytes();
  if (!tokenizerJson) throw new Error(`${spec} brings no tokenizer.json`);
  return openTokenizer({ tokenizerJson, tokenizerConfig: await companions.get("tokenizer_config.json")?.bytes() });
}

/** What `use` makes of an opened model, which is closed afterwards. */
export async function withModel<T>(spec: string, use: (checkpoint: Checkpoint) => Promise<T>): Promise<T> {
  const checkpoint = await openCheckpoint(spec, { offline: true });
  try {
    return await use(checkpoint);
  } finally {
    await checkpoint.close();
  }
}
