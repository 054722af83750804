import { realpath } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, sep } from "node:path";
import { CheckpointError, guardIo } from "./errors.ts";

/** In the Hub cache a snapshot's files are links into the blobs folder of the same repository. */
function allowedRoots(folder: string): string[] {
  const snapshots = dirname(folder);
  const isSnapshot = basename(snapshots) === "snapshots";
  return isSnapshot ? [folder, join(dirname(snapshots), "blobs")] : [folder];
}

function checkName(folder: string, name: string): void {
  const parts = name.split(/[/\\]/);
  if (name !== "" && !name.includes("\0") && !isAbsolute(name) && !/^[A-Za-z]:/.test(name) && !parts.includes(".."))
    return;
  throw new CheckpointError(
    "format",
    `${folder}: refers to the file ${JSON.stringify(name)}, which may lie outside the folder`,
    {
      file: folder,
    },
  );
}

/**
 * The path of `name` in `folder`, where neither the name nor a symbolic link may lead out of the folder: model
 * folders come from strangers. Links from a Hub cache snapshot to its own blobs are fine.
 * @throws CheckpointError "format" for a path that leaves the folder, "not-found" for a missing file
 */
export async function safePath(folder: string, name: string): Promise<string> {
  checkName(folder, name);
  const path = join(folder, name);
  return guardIo("find the file", path, async () => {
    const real = await realpath(path);
    const roots = allowedRoots(await realpath(folder));
    if (roots.some((root) => real.startsWith(root + sep))) return path;
    throw new CheckpointError("format", `${path}: links to ${real}, outside its folder; put the file itself there`, {
      file: path,
    });
  });
}
