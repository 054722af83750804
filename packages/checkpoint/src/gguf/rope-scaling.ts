import { CheckpointError } from "../errors.ts";
import type { Metadata } from "./metadata.ts";

/** Llama 3.1, 3.2 and 3.3 all have these; only the factor differs. Source: their config.json. */
const llama3 = { low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };

/** How much slower pair `i` of a head turns: the rule of transformers' `_compute_llama3_parameters`. */
function llama3Factor(i: number, headDim: number, theta: number, factor: number): number {
  const { low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: context } = llama3;
  const wavelength = 2 * Math.PI * theta ** ((2 * i) / headDim);
  if (wavelength < context / high) return 1;
  if (wavelength > context / low) return factor;
  const smooth = (context / wavelength - low) / (high - low);
  return 1 / ((1 - smooth) / factor + smooth);
}

function fromFactors(factors: Float32Array, headDim: number, theta: number, file: string): object {
  const factor = Math.round(Math.max(...factors));
  const expected = Array.from(factors, (_, i) => llama3Factor(i, headDim, theta, factor));
  const fits = factors.length === headDim / 2 && factors.every((value, i) => Math.abs(value / expected[i] - 1) < 1e-4);
  if (fits) return { rope_scaling: { rope_type: "llama3", factor, ...llama3 } };
  throw new CheckpointError(
    "unsupported",
    `${file}: its rotary factors (rope_freqs.weight) are not those of Llama 3; use the Hugging Face folder`,
    {
      file,
      tensor: "rope_freqs.weight",
    },
  );
}

/**
 * The `rope_scaling` part of config.json, empty without scaling. GGUF keeps Llama 3's scaling as finished factors: they are
 * recognised by computing them again.
 * @param factors rope_freqs.weight, headDim / 2 numbers
 * @throws CheckpointError "unsupported" for other kinds of scaling
 */
export function ropeScaling(
  metadata: Metadata,
  prefix: string,
  headDim: number,
  theta: number,
  factors?: Float32Array,
): object {
  const key = `${prefix}.rope.scaling.type`;
  const type = metadata.has(key) ? metadata.string(key) : "none";
  if (type === "linear")
    return { rope_scaling: { rope_type: "linear", factor: metadata.number(`${prefix}.rope.scaling.factor`) } };
  if (type !== "none")
    throw new CheckpointError(
      "unsupported",
      `${metadata.file}: rotary scaling ${type} is not read here; use the Hugging Face folder`,
      {
        file: metadata.file,
      },
    );
  return factors ? fromFactors(factors, headDim, theta, metadata.file) : {};
}
