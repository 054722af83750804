/** What stands on the disk of an experiment's step. */
import { expect, test } from "bun:test";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Step } from "@safedelta/experiment";
import { isDamaged, standingOf, writeRecord } from "../../cli/src/experiment/records.ts";
import { scratchFolder } from "../support/pico.ts";

test("a folder that was cut is damaged; one that was dropped, and what an interrupted remake left in it, is not", async () => {
  await using scratch = await scratchFolder();
  const artefact = join(scratch.path, "made", "half-1");
  const step: Step = {
    ...{ id: "half-1", title: "half", kind: "apply", command: "apply", args: [], options: {}, needs: [] },
    artefact,
  };
  await Bun.write(join(artefact, "weights", "model.safetensors"), "0123456789");
  await writeRecord(scratch.path, step, { command: ["apply"], ms: 1, document: {}, isKept: false });
  expect(await standingOf(scratch.path, step)).toEqual({ isDone: true, isThere: true });
  await Bun.write(join(artefact, "weights", "model.safetensors"), "01234");
  expect(await isDamaged(scratch.path, step)).toBe(true);
  await rm(artefact, { recursive: true });
  await mkdir(join(artefact, ".safedelta-work"), { recursive: true });
  await Bun.write(join(artefact, ".safedelta-work", "journal"), "begun");
  expect(await isDamaged(scratch.path, step)).toBe(false);
  expect(await standingOf(scratch.path, step)).toEqual({ isDone: true, isThere: false });
});
