import { stat } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError, errorCode, guardIo } from "../errors.ts";
import type { HubId } from "../resolve.ts";
import { cachedCommit, snapshotFolder } from "./cache.ts";
import type { OnDownload } from "./download.ts";
import { readHubSettings } from "./environment.ts";

/** One file of a repository on the Hub. */
export interface HubFile extends HubId {
  /** Its path inside the repository, with slashes. */
  readonly path: string;
}

/**
 * The local path of a file of the Hub: the cache first, else a download into it.
 * @throws CheckpointError "not-found" when offline and not in the cache; when there is no such file, or no access; "io", "disk-full"
 */
export async function locateHubFile(file: HubFile, offline: boolean, onDownload: OnDownload): Promise<string> {
  const settings = await readHubSettings(process.env, offline);
  if (isUnsafe(file.path))
    throw new CheckpointError("not-found", `${file.repo}: "${file.path}" is no path inside a repository`, {
      file: file.path,
    });
  const cached = await guardIo("look into the Hub cache", settings.cache, () => findFile(settings.cache, file));
  if (cached !== undefined) return cached;
  if (!settings.offline) return (await import("./download.ts")).downloadOne(file, file.path, settings, onDownload);
  throw new CheckpointError(
    "not-found",
    `${file.repo}@${file.revision}: ${file.path} is not in the Hub cache ${settings.cache}, while this run is offline; ` +
      "run once without --offline and HF_HUB_OFFLINE, or name a local file",
    { file: file.path },
  );
}

function isUnsafe(path: string): boolean {
  return path.split("/").some((part) => ["", ".", ".."].includes(part));
}

async function findFile(cache: string, file: HubFile): Promise<string | undefined> {
  const path = join(snapshotFolder(cache, file, await cachedCommit(cache, file)), file.path);
  try {
    return (await stat(path)).isFile() ? path : undefined;
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return undefined;
    throw error;
  }
}
