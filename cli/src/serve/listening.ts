import { basename, resolve } from "node:path";
import { isLoopback } from "@safedelta/serving";
import { onEnding } from "../ending.ts";
import { UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";

/** Models by the names that they are shown by; none may be left out. @throws UsageError for a name that two models have */
export function namedModels(specs: readonly string[], names: string | undefined): Map<string, string> {
  const pairs = [...specs.map((spec) => [shortName(spec), spec]), ...(names?.split(",") ?? []).map(namedPair)];
  const models = new Map<string, string>();
  for (const [name, spec] of pairs) addModel(models, name, spec);
  return models;
}

/** @throws UsageError for a name that another model has */
export function addModel(models: Map<string, string>, name: string, spec: string): void {
  if (models.has(name))
    throw new UsageError(`Two models are called ${name}; give one another name with --name NAME=MODEL.`);
  models.set(name, spec);
}

function namedPair(text: string): [name: string, spec: string] {
  const at = text.indexOf("=");
  if (at < 1 || at === text.length - 1) throw new UsageError(`--name: "${text}" is not NAME=MODEL.`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** The last part of a spelling, without the ending of a file. */
export function shortName(spec: string): string {
  return basename(resolve(spec)).replace(/\.gguf$/, "");
}

/** @throws UsageError for a token that no header can carry, or none where other machines can connect */
export function checkToken(host: string, token: string | undefined): void {
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
    throw new UsageError(
      "--token must be of printable ASCII without blanks, and not empty: clients send it in a header.",
    );
  if (!isLoopback(host) && token === undefined)
    throw new UsageError(`--host ${host} lets other machines connect: add a --token that they must bring.`);
}

/** @throws UsageError when the port or the address cannot be had */
export function listen<T>(start: () => T): T {
  try {
    return start();
  } catch (error) {
    throw new UsageError(`--host, --port: ${(error as Error).message}`);
  }
}

/** Wait for Ctrl-C, or for the end of what answers, and stop the server. @throws what ended it */
export async function untilEnded(
  server: { stop(): Promise<void> },
  broken: Promise<Error>,
  io: Pick<Io, "note">,
): Promise<void> {
  const ended = Promise.withResolvers<void>();
  onEnding(ended.resolve);
  const error = await Promise.race([ended.promise, broken]);
  await server.stop();
  if (error) throw error;
  io.note("stopped");
}
