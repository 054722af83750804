import { adaptCheckpoint } from "./adapted.ts";
import { openAdapter } from "./adapter.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { CheckpointError } from "./errors.ts";
import { openModelFolder } from "./model-folder.ts";
import { resolveSpec } from "./resolve.ts";

/** How to open a model. */
export interface OpenOptions {
  /** Use nothing but local files and the Hub cache (also: HF_HUB_OFFLINE=1). */
  readonly offline?: boolean;
  /** The model that a bare adapter folder is for; it stays open when the result is closed. */
  readonly base?: Checkpoint;
  /** Hears of oddities that do not stop the work. */
  readonly onWarn?: (message: string) => void;
}

async function withAdapter(base: Checkpoint, folder: string, spec: string, ownsBase: boolean): Promise<Checkpoint> {
  const adapter = await openAdapter(folder);
  try {
    return adaptCheckpoint(base, adapter, spec, ownsBase);
  } catch (error) {
    await adapter.close();
    throw error;
  }
}

async function adapterFolder(spec: string): Promise<string> {
  const resolved = await resolveSpec(spec);
  if (resolved.kind === "adapter") return resolved.path;
  throw new CheckpointError(
    "not-found",
    `${spec}: stands after a + but is not a LoRA adapter folder (adapter_config.json)`,
    {
      file: spec,
    },
  );
}

async function openChain(
  baseSpec: string,
  adapterSpec: string,
  spec: string,
  options: OpenOptions,
): Promise<Checkpoint> {
  const folder = await adapterFolder(adapterSpec);
  const base = await openCheckpoint(baseSpec, options);
  try {
    return await withAdapter(base, folder, spec, true);
  } catch (error) {
    await base.close();
    throw error;
  }
}

function needsBase(folder: string): CheckpointError {
  return new CheckpointError("incompatible", `${folder}: is an adapter without its base; write BASE+${folder}`, {
    file: folder,
  });
}

/**
 * Opens a model by its spelling: a folder, `base+adapter[+adapter]` (adapters merge one after the other), an adapter folder
 * when `base` is given, `file.gguf`, or a Hub id `org/name[@revision]`.
 * @throws CheckpointError saying what is wrong with which file, and what to do
 */
export async function openCheckpoint(spec: string, options: OpenOptions = {}): Promise<Checkpoint> {
  const onWarn = options.onWarn ?? (() => {});
  const resolved = await resolveSpec(spec);
  switch (resolved.kind) {
    case "folder":
      return openModelFolder(resolved.path, spec, "folder", onWarn);
    case "chain":
      return openChain(resolved.base, resolved.adapter, spec, options);
    case "gguf":
      return (await import("./gguf/open-gguf.ts")).openGguf(resolved.path, spec);
    case "adapter":
      if (!options.base) throw needsBase(resolved.path);
      return withAdapter(options.base, resolved.path, spec, false);
    default:
      throw new CheckpointError("unsupported", `${spec}: this kind of model is not read yet`);
  }
}
