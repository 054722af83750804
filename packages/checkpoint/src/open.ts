import { adaptCheckpoint } from "./adapted.ts";
import { openAdapter } from "./adapter.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { classifyPath } from "./classify.ts";
import { CheckpointError } from "./errors.ts";
import type { OnDownload } from "./hub/download.ts";
import { locateHubModel } from "./hub/locate.ts";
import { openModelFolder } from "./model-folder.ts";
import { type Resolved, resolveSpec } from "./resolve.ts";

/** How to open a model. */
export interface OpenOptions {
  /** Use nothing but local files and the Hub cache (also: HF_HUB_OFFLINE=1). */
  readonly offline?: boolean;
  /** The model that a bare adapter folder is for; it stays open when the result is closed. */
  readonly base?: Checkpoint;
  /** Hears of oddities that do not stop the work. */
  readonly onWarn?: (message: string) => void;
  /** Hears of the progress of a download from the Hub. */
  readonly onDownload?: OnDownload;
}

/** A Hub id becomes the folder of its files. */
async function localise(resolved: Resolved, options: OpenOptions): Promise<Exclude<Resolved, { kind: "hub" }>> {
  if (resolved.kind !== "hub") return resolved;
  const { onWarn = () => {}, onDownload = () => {} } = options;
  const path = await locateHubModel(resolved.id, options.offline ?? false, { onWarn, onDownload });
  return { kind: (await classifyPath(path)) === "adapter" ? "adapter" : "folder", path };
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

async function adapterFolder(spec: string, options: OpenOptions): Promise<string> {
  const resolved = await localise(await resolveSpec(spec), options);
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
  const folder = await adapterFolder(adapterSpec, options);
  const base = await openCheckpoint(baseSpec, options);
  try {
    return await withAdapter(base, folder, spec, true);
  } catch (error) {
    await base.close();
    throw error;
  }
}

function needsBase(spec: string): CheckpointError {
  return new CheckpointError("incompatible", `${spec}: is an adapter without its base; write BASE+${spec}`, {
    file: spec,
  });
}

/**
 * Opens a model by its spelling: a folder, `base+adapter[+adapter]` (adapters merge one after the other), an adapter folder
 * when `base` is given, `file.gguf`, or a Hub id `org/name[@revision]`.
 * @throws CheckpointError saying what is wrong with which file, and what to do
 */
export async function openCheckpoint(spec: string, options: OpenOptions = {}): Promise<Checkpoint> {
  const resolved = await resolveSpec(spec);
  const local = await localise(resolved, options);
  switch (local.kind) {
    case "folder":
      return openModelFolder(
        local.path,
        spec,
        resolved.kind === "hub" ? "hub" : "folder",
        options.onWarn ?? (() => {}),
      );
    case "chain":
      return openChain(local.base, local.adapter, spec, options);
    case "gguf":
      return (await import("./gguf/open-gguf.ts")).openGguf(local.path, spec);
    case "adapter":
      if (!options.base) throw needsBase(spec);
      return withAdapter(options.base, local.path, spec, false);
  }
}
