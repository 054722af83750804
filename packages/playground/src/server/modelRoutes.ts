import type { Checkpoint } from "@safedelta/checkpoint";
import { ApiError } from "@safedelta/serving";
import type { CheckpointHead } from "../scene.ts";
import type { ShownModel } from "./sources.ts";

/**
 * Parts of models. Every name that a request brings is looked up among those that the model has; none becomes a path.
 * @returns undefined for other paths
 * @throws ApiError 400, 404
 */
export async function modelRoute(models: readonly ShownModel[], url: URL): Promise<Response | undefined> {
  const { pathname, searchParams } = url;
  const mlc = /^\/mlc\/([^/]+)\/resolve\/main\/([^/]+)$/.exec(pathname);
  if (mlc) return fileOf(modelCalled(models, mlc[1]), decode(mlc[2]));
  const part = /^\/api\/models\/([^/]+)\/(head|tensor|file)$/.exec(pathname);
  if (!part) return undefined;
  const { checkpoint } = modelCalled(models, part[1]);
  if (!checkpoint) throw missing(part[1]);
  const name = searchParams.get("name") ?? "";
  if (part[2] === "head") return Response.json(headOf(checkpoint));
  if (part[2] === "tensor") return tensorOf(checkpoint, name);
  return companionOf(checkpoint, name);
}

function modelCalled(models: readonly ShownModel[], encoded: string): ShownModel {
  const name = decode(encoded);
  const found = models.find((model) => model.name === name);
  if (!found) throw missing(name);
  return found;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new ApiError(400, "invalid_request_error", "The path cannot be read.");
  }
}

function missing(name: string): ApiError {
  return new ApiError(404, "invalid_request_error", `There is no ${JSON.stringify(name)} here.`);
}

function headOf({ config, tensors, companions }: Checkpoint): CheckpointHead {
  return { config, tensors: [...tensors.values()], companions: [...companions.keys()] };
}

async function tensorOf(checkpoint: Checkpoint, name: string): Promise<Response> {
  if (!checkpoint.tensors.has(name)) throw missing(name);
  return bytesResponse((await checkpoint.read(name)).bytes);
}

async function companionOf({ companions }: Checkpoint, name: string): Promise<Response> {
  const companion = companions.get(name);
  if (!companion) throw missing(name);
  return bytesResponse(await companion.bytes());
}

function fileOf({ files }: ShownModel, name: string): Response {
  const path = files?.get(name);
  if (path === undefined) throw missing(name);
  return new Response(Bun.file(path));
}

function bytesResponse(bytes: Uint8Array): Response {
  const headers = { "Content-Type": "application/octet-stream", "Cache-Control": "no-store" };
  return new Response(bytes as Uint8Array<ArrayBuffer>, { headers });
}
