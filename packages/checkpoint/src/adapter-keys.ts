import { CheckpointError } from "./errors.ts";
import type { TensorInfo } from "./tensor.ts";

/** The stored tensors of one adapted module. */
export interface LoraParts {
  readonly a: TensorInfo;
  readonly b: TensorInfo;
  readonly magnitude?: TensorInfo;
  /** A token embedding: A is [r, vocabulary], and the delta is transposed. */
  readonly embedding: boolean;
}

/** What the keys of an adapter file mean. */
export interface AdapterKeys {
  /** Module name (`model.layers.0.self_attn.q_proj`) -> its parts. */
  readonly modules: ReadonlyMap<string, LoraParts>;
  /** Weight name -> tensor that replaces it (modules_to_save, biases, saved embeddings). */
  readonly replaced: ReadonlyMap<string, TensorInfo>;
}

/** PEFT wraps the model twice; its own wrappers inside module names are dropped by `save_pretrained` or here. */
const prefix = "base_model.model.";

type Role = "a" | "b" | "embeddingA" | "embeddingB" | "magnitude";

const suffixes: readonly (readonly [RegExp, Role])[] = [
  [/\.lora_A\.weight$/, "a"],
  [/\.lora_B\.weight$/, "b"],
  [/\.lora_embedding_A$/, "embeddingA"],
  [/\.lora_embedding_B$/, "embeddingB"],
  [/\.lora_magnitude_vector(\.weight)?$/, "magnitude"],
];

function splitKey(key: string, file: string): { name: string; role?: Role } {
  if (!key.startsWith(prefix))
    throw new CheckpointError("format", `${file}: key ${key} does not begin with ${prefix}: not a PEFT LoRA file`, {
      file,
      tensor: key,
    });
  const name = key.slice(prefix.length);
  for (const [suffix, role] of suffixes) if (suffix.test(name)) return { name: name.replace(suffix, ""), role };
  if (/\.lora_/.test(name))
    throw new CheckpointError("unsupported", `${file}: key ${key} is of a kind of LoRA that is not read here`, {
      file,
      tensor: key,
    });
  return { name: name.replace(/\.(base_layer|original_module)(?=\.[^.]+$)/, "") };
}

function joinParts(module: string, parts: Partial<Record<Role, TensorInfo>>, file: string): LoraParts {
  const embedding = parts.embeddingA !== undefined || parts.embeddingB !== undefined;
  const a = embedding ? parts.embeddingA : parts.a;
  const b = embedding ? parts.embeddingB : parts.b;
  if (a && b) return { a, b, magnitude: parts.magnitude, embedding };
  throw new CheckpointError(
    "missing",
    `${file}: module ${module} lacks its lora_${a ? "B" : "A"}; the adapter file is incomplete`,
    {
      file,
      tensor: module,
    },
  );
}

/**
 * Groups the keys of adapter_model.safetensors by module (PEFT `get_peft_model_state_dict`).
 * @throws CheckpointError "format" for keys of another layout, "missing" for A without B, "unsupported"
 */
export function groupAdapterKeys(tensors: ReadonlyMap<string, TensorInfo>, file: string): AdapterKeys {
  const found = new Map<string, Partial<Record<Role, TensorInfo>>>();
  const replaced = new Map<string, TensorInfo>();
  for (const [key, info] of tensors) {
    const { name, role } = splitKey(key, file);
    if (role) found.set(name, { ...found.get(name), [role]: info });
    else replaced.set(name, info);
  }
  const modules = [...found].map(([module, parts]) => [module, joinParts(module, parts, file)] as const);
  return { modules: new Map(modules), replaced };
}
