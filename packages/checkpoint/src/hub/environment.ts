import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { errorCode } from "../errors.ts";

/** The Hub's settings, by the same environment variables as Python's huggingface_hub. */
export interface HubSettings {
  /** Folder with `models--org--name` folders. */
  readonly cache: string;
  readonly endpoint: string;
  readonly offline: boolean;
  readonly token?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

function expandHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path;
}

function isTrue(value: string | undefined): boolean {
  return ["1", "ON", "YES", "TRUE"].includes(value?.toUpperCase() ?? "");
}

async function readToken(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, "utf8")).trim() || undefined;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * HF_HUB_CACHE, HF_HOME (else XDG_CACHE_HOME, ~/.cache), HF_ENDPOINT, HF_HUB_OFFLINE, and HF_TOKEN or the file HF_TOKEN_PATH.
 * Source: huggingface_hub `constants.py`.
 */
export async function readHubSettings(environment: Environment, offline = false): Promise<HubSettings> {
  const caches = environment.XDG_CACHE_HOME || join(homedir(), ".cache");
  const home = expandHome(environment.HF_HOME || join(caches, "huggingface"));
  const token =
    environment.HF_TOKEN?.trim() || (await readToken(expandHome(environment.HF_TOKEN_PATH || join(home, "token"))));
  return {
    cache: expandHome(environment.HF_HUB_CACHE || environment.HUGGINGFACE_HUB_CACHE || join(home, "hub")),
    endpoint: (environment.HF_ENDPOINT || "https://huggingface.co").replace(/\/+$/, ""),
    offline: offline || isTrue(environment.HF_HUB_OFFLINE),
    token,
  };
}
