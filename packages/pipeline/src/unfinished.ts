import { readdir } from "node:fs/promises";
import { workName } from "@safedelta/checkpoint";
import { workOf } from "./workFolder.ts";

/**
 * What was begun in a folder and is not finished, with how to go on: a state of prepare, or an output of apply or finetune. A look at names only.
 * @returns undefined where nothing is unfinished, or no folder
 */
export async function whatIsUnfinished(folder: string): Promise<string | undefined> {
  const names = await namesIn(folder);
  if (names.includes("state.json") || names.includes("safedelta.json") || names.includes("training.json"))
    return undefined;
  const next = "command again; it goes on where it stopped.";
  const beside = await namesIn(`${folder.replace(/\/+$/, "")}${workName}`);
  if (beside.some((name) => name.startsWith("update-")))
    return `${folder}: this fine-tuning is not finished. Run the same finetune ${next}`;
  if (names.includes(workName)) return `${folder}: this repair is not finished. Run the same apply ${next}`;
  const isState = (await namesIn(workOf(folder))).length > 0;
  return isState ? `${folder}: this state is not finished. Run the same prepare ${next}` : undefined;
}

function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((): string[] => []);
}
