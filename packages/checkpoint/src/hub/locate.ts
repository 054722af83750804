import { CheckpointError, guardIo } from "../errors.ts";
import type { HubId } from "../resolve.ts";
import { findCached } from "./cache.ts";
import type { OnDownload } from "./download.ts";
import { readHubSettings } from "./environment.ts";

/**
 * The local folder of a Hub model: the cache if it holds all of it, else a download.
 * @throws CheckpointError "not-found" when offline and not in the cache; as `downloadSnapshot`
 */
export async function locateHubModel(id: HubId, offline: boolean, onDownload: OnDownload): Promise<string> {
  const settings = await readHubSettings(process.env, offline);
  const cached = await guardIo("look into the Hub cache", settings.cache, () => findCached(settings.cache, id));
  if (cached) return cached;
  if (!settings.offline) return (await import("./download.ts")).downloadSnapshot(id, settings, onDownload);
  throw new CheckpointError(
    "not-found",
    `${id.repo}@${id.revision}: there is no such local folder, and as a model of the Hub it is not (completely) in the cache ` +
      `${settings.cache}, while this run is offline; run once without --offline and HF_HUB_OFFLINE, or mend the path`,
    { file: id.repo },
  );
}
