import { CheckpointError, guardIo } from "../errors.ts";
import type { HubId } from "../resolve.ts";
import { findCached } from "./cache.ts";
import type { OnDownload } from "./download.ts";
import { readHubSettings } from "./environment.ts";

/** Who hears of the work. */
export interface HubListeners {
  readonly onWarn: (message: string) => void;
  readonly onDownload: OnDownload;
}

/**
 * The local folder of a Hub model: the cache if it holds all of it, else a download. What the cache lacks of a tokenizer is
 * fetched for the very commit that is there; offline the model is used without one, with a warning.
 * @throws CheckpointError "not-found" when offline and not in the cache; as `downloadSnapshot`
 */
export async function locateHubModel(id: HubId, offline: boolean, listeners: HubListeners): Promise<string> {
  const settings = await readHubSettings(process.env, offline);
  const cached = await guardIo("look into the Hub cache", settings.cache, () => findCached(settings.cache, id));
  if (cached?.hasTokenizer) return cached.folder;
  if (!settings.offline) {
    const wanted = { ...id, revision: cached?.commit ?? id.revision };
    return (await import("./download.ts")).downloadSnapshot(wanted, settings, listeners.onDownload);
  }
  if (cached) {
    const next = "run once without --offline and HF_HUB_OFFLINE to fetch it";
    listeners.onWarn(
      `${id.repo}: the Hub cache holds this model without its tokenizer, and this run is offline; ${next}`,
    );
    return cached.folder;
  }
  throw new CheckpointError(
    "not-found",
    `${id.repo}@${id.revision}: there is no such local folder, and as a model of the Hub it is not (completely) in the cache ` +
      `${settings.cache}, while this run is offline; run once without --offline and HF_HUB_OFFLINE, or mend the path`,
    { file: id.repo },
  );
}
