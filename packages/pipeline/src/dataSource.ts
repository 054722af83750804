import { locateHubFile } from "@safedelta/checkpoint";
import type { SourceAccess } from "@safedelta/data";
import { type Progress, tellOpening } from "./progress.ts";

/** How data sources reach the Hub: its cache first, never the network when offline. `locate` throws CheckpointError. */
export function sourceAccess(offline: boolean, progress: Progress): SourceAccess {
  const { onDownload } = tellOpening(progress);
  return {
    locate: (file) => locateHubFile({ ...file, type: "dataset" }, offline, onDownload),
    warn: (message) => progress.warn(message),
  };
}
