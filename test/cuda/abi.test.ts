import { expect, setDefaultTimeout, test } from "bun:test";
import { join, resolve } from "node:path";
import { parseHeader } from "../../engine/src/ffi/header.ts";
import { built, missing } from "./build.ts";

setDefaultTimeout(300_000); // the libraries are built first

const header = join(resolve(import.meta.dir, "../.."), "engine/include/safedelta.h");

test.skipIf(missing !== undefined)(
  "the library exports what the header says and nothing else, and needs libc alone",
  async () => {
    const library = join(await built("plain"), "libsafedelta_cuda.so");
    const words = (command: string[]) => Bun.spawnSync(command).stdout.toString();
    const exported = [...words(["nm", "-D", "--defined-only", library]).matchAll(/ \w (\S+)$/gm)].map(
      ([, name]) => name,
    );
    expect(exported.sort()).toEqual(Object.keys(parseHeader(await Bun.file(header).text())).sort());
    const needed = [...words(["readelf", "-d", library]).matchAll(/NEEDED.*\[(.*)\]/g)].map(([, name]) => name);
    expect(needed.filter((name) => !/^(libc|libm|ld-linux-x86-64)\.so/.test(name))).toEqual([]);
  },
);
