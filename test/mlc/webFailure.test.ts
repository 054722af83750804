import { describe, expect, test } from "bun:test";
import { absoluteRecord, explainFailure, webLlm } from "@safedelta/mlc/web";

function named(name: string, message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { name });
}

/** Texts as Chromium gave them: a library of another version, of another model, a file that is absent, no f16, no graphics card. */
const seen = {
  link: 'WebAssembly.instantiate(): Import #0 "env" "_ZN3tvm7runtime9threading15ResetThreadPoolEv": function import requires a callable',
  exit: "Program terminated with exit(1)",
  absent: "Failed to execute 'add' on 'Cache': Request failed",
  f16: "This model requires feature This model requires WebGPU extension shader-f16, which is not enabled in this browser. You can try",
  gpu: "Unable to find a compatible GPU. This issue might be because your computer doesn't have a GPU, or your system settings are not configured properly. Please check if your device has a GPU properly set up and if your your browser supports WebGPU.",
};

describe("explainFailure", () => {
  const cases: [kind: string, thrown: unknown][] = [
    ["library-version", named("LinkError", seen.link)],
    ["library-model", named("ExitStatus", seen.exit)],
    ["not-reached", new TypeError(seen.absent)],
    ["no-shader-f16", named("ShaderF16SupportError", seen.f16)],
    ["no-gpu", new Error(seen.gpu)],
    [
      "library-version",
      new WebAssembly.LinkError(
        'WebAssembly.instantiate(): Import #5 module="env" function="x": function import requires a callable',
      ),
    ],
    ["library-version", "LinkError: WebAssembly.instantiate(): Import #0 module"],
    ["no-webgpu", named("WebGPUNotAvailableError", "WebGPU is not supported in your current environment, but")],
    ["no-webgpu", named("WebGPUNotFoundError", "Cannot find WebGPU in the environment")],
    [
      "no-gpu",
      new Error("Unable to find a compatible GPU. This issue might be because your computer doesn't have a GPU"),
    ],
    ["no-shader-f16", named("ShaderF16SupportError", "This model requires WebGPU extension shader-f16, which")],
    ["no-shader-f16", named("FeatureSupportError", "This model requires feature shader-f16, which is not yet")],
    [
      "gpu-limit",
      new Error("Cannot initialize runtime because of requested maxBufferSize exceeds limit. requested=1024MB"),
    ],
    ["gpu-limit", named("FeatureSupportError", "This model requires feature subgroups, which is not yet")],
    ["out-of-memory", named("DeviceLostError", "The WebGPU device was lost while loading the model. This issue")],
    ["out-of-memory", new RangeError("Array buffer allocation failed")],
    ["out-of-memory", named("GPUOutOfMemoryError", "createBuffer failed")],
    ["storage-full", named("QuotaExceededError", "Quota exceeded.")],
    ["library-missing", named("MissingModelError", 'Missing `model_lib` for the model with ID "x".')],
    ["library-model", new Error("ValueError: Cannot find parameter in cache: model.embed_tokens.q_weight")],
    ["library-model", named("CompileError", "WebAssembly.instantiate(): expected magic word 00 61 73 6d")],
    ["model-not-found", named("ModelNotFoundError", "Cannot find model record in appConfig for x.")],
    ["model-not-found", new Error("Cannot fetch http://localhost/x: 404 Not Found")],
    ["damaged", named("IntegrityError", "Integrity verification failed for x")],
    ["damaged", new SyntaxError("Unexpected token '<', \"<!doctype \"... is not valid JSON")],
    ["insecure-page", new ReferenceError("caches is not defined")],
    ["not-reached", new TypeError("Failed to fetch")],
    ["not-reached", new Error("Cannot fetch http://localhost/x")],
    ["prompt-too-long", named("ContextWindowSizeExceededError", "Prompt tokens exceed context window size: 1")],
    ["out-of-memory", named("Error", "reload failed", named("DeviceLostError", "device was lost"))],
    ["other", new Error("something new")],
    ["other", undefined],
  ];

  for (const [kind, thrown] of cases)
    test(`${kind}: ${String(thrown).slice(0, 60)}`, () => {
      const told = explainFailure(thrown);
      expect(told.kind as string).toBe(kind);
      for (const text of [told.what, told.next]) expect(text).toMatch(/^[A-Z].*\.$|^web-llm.*\.$/);
      if (thrown instanceof Error) expect(told.detail).toContain(thrown.message);
    });

  test("names the versions that belong together", () => {
    const { what, next } = explainFailure(named("LinkError", "x"));
    expect(what).toContain(webLlm.npmVersion);
    expect(next).toContain(webLlm.libraryFolder);
  });

  test("needs nothing that a browser lacks", async () => {
    const entry = Bun.fileURLToPath(import.meta.resolve("@safedelta/mlc/web"));
    const built = await Bun.build({ entrypoints: [entry], target: "browser" });
    expect(built.success).toBe(true);
    const code = await built.outputs[0].text();
    expect(code).not.toMatch(/node:|require\(|from ["']|Bun\.|process\./);
    expect(code).toContain("explainFailure");
  });
});

describe("absoluteRecord", () => {
  const url = "http://localhost:8080/models/smol/resolve/main/web-llm.json";

  test("addresses beside the file become whole, others stay", () => {
    const record = { model: "./", model_id: "smol", model_lib: "./x.wasm" };
    expect(absoluteRecord(record, url)).toEqual({
      model: "http://localhost:8080/models/smol/resolve/main/",
      model_id: "smol",
      model_lib: "http://localhost:8080/models/smol/resolve/main/x.wasm",
    });
    const prebuilt = { ...record, model_lib: "https://example.org/y.wasm" };
    expect(absoluteRecord(prebuilt, url).model_lib).toBe("https://example.org/y.wasm");
    expect(absoluteRecord({ model: "./", model_id: "smol" }, url)).not.toHaveProperty("model_lib");
  });
});
