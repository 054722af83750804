import { expect, test } from "bun:test";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { removeAtOnce } from "../../packages/pipeline/src/files.ts";
import { scratchFolder } from "../support/pico.ts";

test("a folder that is removed at once is never seen in parts under its name", async () => {
  await using scratch = await scratchFolder();
  const [path, nFiles] = [join(scratch.path, "work"), 2000];
  await mkdir(path);
  await mkdir(`${path}.removed`); // of a run that was killed meanwhile
  for (let i = 0; i < nFiles; i++) await Bun.write(join(path, String(i)), "");
  let isOver = false;
  const removal = removeAtOnce(path).finally(() => {
    isOver = true;
  });
  const seen = new Set<number>();
  while (!isOver) seen.add((await readdir(path).catch(() => [])).length);
  await removal;
  expect([...seen].filter((n) => n !== 0 && n !== nFiles)).toEqual([]);
  expect(await readdir(scratch.path)).toEqual([]);
  await removeAtOnce(path); // what is not there is no failure
});
