import { dlopen } from "bun:ffi";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { copyFile, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { scratchFolder } from "../support/pico.ts";
import { built, missing } from "./build.ts";
import { surroundings } from "./run.ts";

setDefaultTimeout(300_000); // the libraries are built first

/** The driver of a real GPU: the loader finds it wherever else we look. */
const hasDriver = (() => {
  try {
    dlopen("libcuda.so.1", { cuInit: { args: ["u32"], returns: "i32" } }).close();
    return true;
  } catch {
    return false;
  }
})();

const root = resolve(import.meta.dir, "../..");

/** What opening an engine gives in a process of its own: the engine and the reason for it, or the error. */
async function opening(choice: string, env: Record<string, string>): Promise<{ name: string; text: string }> {
  const script = `
    import { openEngine } from "./engine/src/index.ts";

    const answer = await openEngine(${JSON.stringify(choice)}).then(
      ({ engine, reason }) => ({ name: engine.info.name, text: engine.info.description + "; " + reason }),
      (error) => ({ name: error.name, text: error.message }),
    );
    console.log(JSON.stringify(answer));`;
  const child = Bun.spawn([process.execPath, "-e", script], {
    cwd: root,
    env: { ...process.env, ...env },
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(err);
  return JSON.parse(out);
}

/** What is missing, by the settings of the stand-in machine, and the words that say so. */
const machines: Record<string, { env: Record<string, string>; says: RegExp[] }> = {
  "no device": { env: { SAFEDELTA_STANDIN_DEVICES: "0" }, says: [/cuInit/, /no CUDA-capable device/] },
  "a device number beyond the last": {
    env: { SAFEDELTA_CUDA_DEVICE: "3" },
    says: [/device 3 was asked for, the driver shows 1/, /CUDA_VISIBLE_DEVICES/],
  },
  "a device that is too old": { env: { SAFEDELTA_STANDIN_SM: "75" }, says: [/sm_75/, /older than sm_80/] },
  "a driver too old for the cuBLAS that is there": {
    env: { SAFEDELTA_STANDIN_DRIVER: "12040" },
    says: [/no cuBLAS that this driver can run/, /libcublas\.so\.12/, /nvidia-cublas-cu12/],
  },
  "no room for buffers": {
    env: { SAFEDELTA_STANDIN_BYTES: "1000000" },
    says: [/no room for \d+ bytes/, /stand-in for a GPU/],
  },
  "one of several asked devices": {
    env: { SAFEDELTA_STANDIN_DEVICES: "2", SAFEDELTA_CUDA_DEVICE: "0,1,2" },
    says: [/device 2 was asked for, the driver shows 2/],
  },
  "one of all devices that is too old": {
    env: { SAFEDELTA_STANDIN_DEVICES: "3", SAFEDELTA_STANDIN_SM_1: "75" },
    says: [/device 1, stand-in for a GPU \(sm_75\)/, /older than sm_80/],
  },
  "no room for buffers on one of all devices": {
    env: { SAFEDELTA_STANDIN_DEVICES: "3", SAFEDELTA_STANDIN_BYTES_2: "1000000" },
    says: [/device 2, .*no room for \d+ bytes/],
  },
};

describe.skipIf(missing !== undefined)("what is missing is told, and auto goes on without it", () => {
  for (const [name, { env, says }] of Object.entries(machines)) {
    test(name, async () => {
      const all = { ...surroundings(await built("plain")), ...env };
      const asked = await opening("cuda", all);
      expect(asked.name).toBe("EngineUnavailableError");
      for (const words of says) expect(asked.text).toMatch(words);
      const auto = await opening("auto", all);
      expect(auto.name).toBeOneOf(["native", "wasm"]);
      expect(auto.text).toContain("cuda: ");
    });
  }

  test.skipIf(hasDriver)("no driver", async () => {
    await using scratch = await scratchFolder();
    const { text } = await opening("cuda", {
      ...surroundings(await built("plain")),
      SAFEDELTA_CUDA_LIB_DIR: scratch.path,
    });
    expect(text).toMatch(/no NVIDIA driver here.*libcuda\.so\.1/);
  });

  test("no cuBLAS", async () => {
    await using scratch = await scratchFolder();
    const folder = await built("plain");
    await mkdir(join(scratch.path, "driver"));
    await copyFile(join(folder, "libcuda.so.1"), join(scratch.path, "driver/libcuda.so.1"));
    const env = { ...surroundings(folder), SAFEDELTA_CUDA_LIB_DIR: join(scratch.path, "driver") };
    expect((await opening("cuda", env)).text).toMatch(/no cuBLAS.*libcublas\.so\.13.*nvidia-cublas/);
  });

  test("a cuBLAS that the driver can run is found behind one that it cannot", async () => {
    await using scratch = await scratchFolder();
    const folder = await built("plain");
    const wheels = join(scratch.path, "lib/python3.12/site-packages/nvidia");
    for (const part of ["cu13/lib/libcublas.so.13", "cublas/lib/libcublas.so.12"]) {
      await mkdir(join(wheels, part, ".."), { recursive: true });
      await copyFile(join(folder, "libcublas.so.13"), join(wheels, part));
    }
    await mkdir(join(scratch.path, "driver"));
    await copyFile(join(folder, "libcuda.so.1"), join(scratch.path, "driver/libcuda.so.1"));
    const places = { VIRTUAL_ENV: scratch.path, LD_LIBRARY_PATH: join(scratch.path, "driver") };
    const env = { ...surroundings(folder), ...places, SAFEDELTA_CUDA_LIB_DIR: "", SAFEDELTA_STANDIN_DRIVER: "12040" };
    const { text } = await opening("cuda", env);
    expect(text).toMatch(/driver for CUDA 12\.4, libcublas\.so\.12/);
  });

  const wrong = {
    "devices that are not alike": [{ SAFEDELTA_STANDIN_SM_1: "86" }, /not alike.*\(sm_80\).*\(sm_86\)/],
    "a device twice": [{ SAFEDELTA_CUDA_DEVICE: "1,01" }, /"1,01", expected .*0,1/],
    "no number": [{ SAFEDELTA_CUDA_DEVICE: "both" }, /"both", expected /],
  } as const;
  for (const [name, [env, says]] of Object.entries(wrong)) {
    test(`a setting of no use is an error, with auto too: ${name}`, async () => {
      const all = { ...surroundings(await built("plain"), { order: "forward", devices: 2 }), ...env };
      const told = await opening("auto", all);
      expect(told.name).toBe("EngineSettingError");
      expect(told.text).toMatch(says);
    });
  }

  test("one device of several that are not alike", async () => {
    const all = {
      ...surroundings(await built("plain"), { order: "forward", devices: 2 }),
      SAFEDELTA_STANDIN_SM_1: "86",
    };
    const { text } = await opening("cuda", { ...all, SAFEDELTA_CUDA_DEVICE: "1" });
    expect(text).toMatch(/^stand-in for a GPU \(sm_86\)/);
  });

  test("the library itself", async () => {
    await using scratch = await scratchFolder();
    const env = { SAFEDELTA_CUDA_LIB: join(scratch.path, "nothing.so") };
    expect((await opening("cuda", env)).text).toMatch(/nothing\.so.*bun run build:cuda/);
  });

  test("with all in place, auto takes it first and says what it found", async () => {
    const { name, text } = await opening("auto", surroundings(await built("plain")));
    expect(name).toBe("cuda");
    expect(text).toMatch(/stand-in for a GPU \(sm_80\), driver for CUDA 13\.0, libcublas\.so\.13/);
  });

  test("of several devices, that is told first", async () => {
    const { text } = await opening("cuda", surroundings(await built("plain"), { order: "forward", devices: 3 }));
    expect(text).toMatch(/^3 devices, each stand-in for a GPU \(sm_80\), driver/);
  });
});
