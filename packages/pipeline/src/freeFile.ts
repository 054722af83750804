import { mkdir, rename, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { PipelineError } from "./errors.ts";
import { guardFile } from "./files.ts";

/** A file that shall be written. */
export interface NewFile {
  readonly out: string;
  /** Paths that the run reads; what is no file is ignored. */
  readonly inputs: readonly string[];
  /** Replace a file that stands at `out`. */
  readonly overwrite: boolean;
  /** For advice: what such files end in. */
  readonly ending: string;
}

/** @throws PipelineError `usage` when `out` is an input (by whatever path), a folder, or a file that may not be replaced */
export async function requireFreeFile({ out, inputs, overwrite, ending }: NewFile): Promise<void> {
  const [found, ...sources] = await Promise.all([out, ...inputs].map((path) => stat(path).catch(() => undefined)));
  const refuse = (why: string) => new PipelineError("usage", `${out}: ${why}`);
  if (!found) return;
  if (sources.some((source) => source?.dev === found.dev && source?.ino === found.ino))
    throw refuse(`is ${inputs.length > 1 ? "an" : "the"} input. Choose another --out.`);
  if (found.isDirectory()) throw refuse(`is a folder. Name a file: --out FILE${ending}.`);
  if (!overwrite) throw refuse("is there already. Choose another --out, or add --overwrite.");
}

/** Write a text under another name first, so that nothing half written ever stands at `out`. @throws PipelineError as `guardFile` */
export async function writeWhole(out: string, text: string): Promise<void> {
  const unfinished = `${out}.unfinished`;
  await guardFile(out, async () => {
    await mkdir(dirname(out), { recursive: true });
    await writeFile(unfinished, text, { flush: true });
    await rename(unfinished, out);
  });
}
