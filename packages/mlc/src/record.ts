import type { ModelConfig } from "@safedelta/model";
import { contextOverride } from "./chatConfig.ts";
import type { Quant } from "./quantisation.ts";
import type { ModelRecord } from "./web.ts";

/**
 * The entry of web-llm's model list for an export. Its addresses are relative to the file web-llm.json that holds it, unless the library
 * is a prebuilt one.
 * @param library the name of the library beside it, or the address of a prebuilt one
 */
export function recordOf(id: string, config: ModelConfig, quant: Quant, library: string | undefined): ModelRecord {
  const shaderF16 = quant.dtype === "float16" ? { required_features: ["shader-f16"] } : {};
  return { model: "./", model_id: id, model_lib: library, overrides: contextOverride(config), ...shaderF16 };
}
