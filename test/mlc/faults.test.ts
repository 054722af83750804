import { expect, setDefaultTimeout, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Disk, nodeDisk, openCheckpoint } from "@safedelta/checkpoint";
import { layoutOf, type MlcOutput, planTensor, quantOf, writeMlc } from "@safedelta/mlc";
import { parseConfig } from "@safedelta/model";
import { scratchFolder, writePico } from "../support/pico.ts";
import { readExport } from "./readExport.ts";

setDefaultTimeout(120_000); // every call of the disk fails once

/** A disk whose call number `at` fails, and nothing else; `calls` counts. */
function failingDisk(at: number): Disk & { calls(): number } {
  let calls = 0;
  const failing =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A) => {
      if (calls++ === at) throw Object.assign(new Error("injected"), { code: "ENOSPC", syscall: "write" });
      return call(...args);
    };
  const { open, write, truncate, sync, close, rename } = nodeDisk;
  return {
    open: failing(open),
    write: failing(write),
    truncate: failing(truncate),
    sync: failing(sync),
    close,
    rename: failing(rename),
    calls: () => calls,
  };
}

test("a disk that fails at any call leaves nothing that looks finished, and no work", async () => {
  await using scratch = await scratchFolder();
  const spec = await writePico(join(scratch.path, "model"), { seed: 1, config: { num_hidden_layers: 1 } });
  const checkpoint = await openCheckpoint(spec);
  const quant = quantOf("q4f16_1");
  const output: MlcOutput = {
    quant,
    tensors: layoutOf(parseConfig(checkpoint.config)).map((tensor) => planTensor(tensor, quant, checkpoint.tensors)),
    files: new Map([
      ["mlc-chat-config.json", new TextEncoder().encode("{}")],
      ["web-llm.json", new TextEncoder().encode("{}")],
    ]),
    onTensor: () => {},
  };
  const whole = failingDisk(-1);
  const out = join(scratch.path, "out");
  await writeMlc(out, checkpoint, output, whole);
  const tensors = await readExport(out);
  const former = await readFile(join(out, "params_shard_0.bin"));
  for (let at = 0; at < whole.calls(); at++) {
    const path = join(scratch.path, `out-${at}`);
    await expect(writeMlc(path, checkpoint, output, failingDisk(at))).rejects.toThrow("injected");
    expect(await readdir(path)).not.toContain("mlc-chat-config.json");
    expect((await readdir(path)).filter((name) => name.startsWith("."))).toEqual([]);
    await writeMlc(path, checkpoint, output);
    expect(await readExport(path)).toEqual(tensors);
  }
  await expect(writeMlc(out, checkpoint, output, failingDisk(3))).rejects.toThrow("injected");
  expect(await readdir(out)).toContain("mlc-chat-config.json");
  expect(await readFile(join(out, "params_shard_0.bin"))).toEqual(former);
  await checkpoint.close();
});
