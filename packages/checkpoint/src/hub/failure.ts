import { HubApiError } from "@huggingface/hub";
import { asCheckpointError, CheckpointError } from "../errors.ts";
import type { HubId } from "../resolve.ts";
import type { HubSettings } from "./environment.ts";

/** True for our own errors and those of the disk; the others come from the network. */
function isLocal(error: unknown): boolean {
  const syscall = (error as { syscall?: string } | null)?.syscall;
  return error instanceof CheckpointError || (syscall !== undefined && !/connect|getaddrinfo/.test(syscall));
}

/** What a failed request means to the user. */
export function hubError(error: unknown, id: HubId, { endpoint, token }: HubSettings): CheckpointError {
  const { repo, revision, type = "model" } = id;
  const place = { file: repo, cause: error };
  const local = type === "model" ? "folder" : "file";
  if (!(error instanceof HubApiError)) {
    if (isLocal(error)) return asCheckpointError(error, `download the ${type}`, repo);
    const reason = error instanceof Error ? error.message : String(error);
    return new CheckpointError(
      "io",
      `${repo}: cannot reach ${endpoint}: ${reason}; check the network, or name a local ${local}`,
      place,
    );
  }
  if (error.statusCode === 401 || error.statusCode === 403) {
    const page = `${endpoint}/${type === "model" ? "" : "datasets/"}${repo}`;
    const advice = token
      ? `the token has no access to it: ask for it on its page, ${page}`
      : `set HF_TOKEN if it is private or gated (its conditions are accepted on ${page})`;
    return new CheckpointError(
      "not-found",
      `${repo}@${revision}: ${endpoint} refuses access (${error.statusCode}); ${advice}`,
      place,
    );
  }
  if (error.statusCode === 404)
    return new CheckpointError(
      "not-found",
      `${repo}@${revision}: there is no such local ${local}, and no such ${type} or revision on ${endpoint}`,
      place,
    );
  return new CheckpointError("io", `${repo}: ${endpoint} answered ${error.statusCode}: ${error.message}`, place);
}
