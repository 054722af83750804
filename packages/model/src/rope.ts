import type { ConfigReader } from "./configReader.ts";

/** How the rotary frequencies are stretched for long contexts (Hugging Face `modeling_rope_utils.py`). */
export type RopeScaling =
  | { readonly kind: "none" }
  | { readonly kind: "linear"; readonly factor: number }
  | {
      readonly kind: "llama3";
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      /** Context length of the training before the stretch, tokens. */
      readonly originalMaxPositions: number;
    };

export interface Rope {
  /** Base of the geometric series of frequencies. */
  readonly theta: number;
  readonly scaling: RopeScaling;
}

/** Reads both spellings: `rope_theta` + `rope_scaling` (transformers 4) and `rope_parameters` (5). */
export function parseRope(config: ConfigReader): Rope {
  const parameters = config.child("rope_parameters");
  const scaling = parameters ?? config.child("rope_scaling");
  refuseContradiction(config);
  for (const place of scaling ? [config, scaling] : [config]) refusePartial(place);
  return {
    theta: parameters?.has("rope_theta")
      ? parameters.positive("rope_theta")
      : config.positive("rope_theta", parameters ? undefined : 10000),
    scaling: scaling ? parseScaling(scaling) : { kind: "none" },
  };
}

const scalingKeys = ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"];

/** Both spellings at once, saying different things: transformers 4 and 5 would compute different models. */
function refuseContradiction(config: ConfigReader): void {
  const [recent, old] = [config.get("rope_parameters"), config.get("rope_scaling")].map(sayings);
  if (recent === undefined || old === undefined || recent === old) return;
  config.problems.push("rope_parameters and rope_scaling say different things. Remove the one that is not meant.");
}

/** What a table of rotary settings says of scaling, as one text. */
function sayings(table: unknown): string | undefined {
  if (typeof table !== "object" || table === null) return undefined;
  const { rope_type, type, ...rest } = table as Record<string, unknown>;
  return JSON.stringify([rope_type ?? type ?? "default", ...scalingKeys.map((key) => rest[key])]);
}

function refusePartial(place: ConfigReader): void {
  if (place.positive("partial_rotary_factor", 1) === 1) return;
  place.problems.push("Rotary embedding of a part of each head (partial_rotary_factor) is not supported.");
}

function parseScaling(scaling: ConfigReader): RopeScaling {
  const kind = scaling.get("rope_type") ?? scaling.get("type") ?? "default";
  if (kind === "default") return { kind: "none" };
  if (kind === "linear") return { kind, factor: scaling.positive("factor") };
  if (kind !== "llama3") {
    scaling.problems.push(
      `Rotary scaling ${JSON.stringify(kind)} is not supported; default, linear and llama3 are. Use a model without it.`,
    );
    return { kind: "none" };
  }
  return {
    kind,
    factor: scaling.positive("factor"),
    lowFreqFactor: scaling.positive("low_freq_factor"),
    highFreqFactor: scaling.positive("high_freq_factor"),
    originalMaxPositions: scaling.count("original_max_position_embeddings"),
  };
}

const f32 = Math.fround;

/** The headDim/2 rotary frequencies, radians a token, each step rounded to f32 where transformers rounds. */
export function ropeFrequencies(rope: Rope, headDim: number): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const frequency = f32(1 / f32(rope.theta ** f32((2 * i) / headDim)));
    return scaled(frequency, rope.scaling);
  });
}

function scaled(frequency: number, scaling: RopeScaling): number {
  if (scaling.kind === "none") return frequency;
  const stretched = f32(frequency / f32(scaling.factor));
  if (scaling.kind === "linear") return stretched;
  return llama3(frequency, stretched, scaling);
}

/**
 * Llama 3.1: long waves are stretched, short ones kept, those between interpolated. As in torch, a number over a tensor x is
 * computed as 1/x · number.
 */
function llama3(frequency: number, stretched: number, scaling: RopeScaling & { kind: "llama3" }): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
  const wavelength = f32(f32(1 / frequency) * f32(2 * Math.PI));
  if (wavelength > originalMaxPositions / lowFreqFactor) return stretched;
  if (wavelength < originalMaxPositions / highFreqFactor) return frequency;
  const periods = f32(f32(1 / wavelength) * originalMaxPositions);
  const smooth = f32(f32(periods - f32(lowFreqFactor)) / f32(highFreqFactor - lowFreqFactor));
  return f32(f32(f32(f32(1 - smooth) * frequency) / f32(factor)) + f32(smooth * frequency));
}

/** Cosines and sines of rotary position embedding, positions x frequencies, row-major. */
export interface RopeTables {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/** Angles are position · frequency rounded to f32, as transformers computes them; cos and sin are exact to f32 rounding. */
export function ropeTables(frequencies: Float32Array, positions: Int32Array): RopeTables {
  const n = frequencies.length;
  const cos = new Float32Array(positions.length * n);
  const sin = new Float32Array(positions.length * n);
  for (let t = 0; t < positions.length; t++) {
    for (let i = 0; i < n; i++) {
      const angle = f32(positions[t] * frequencies[i]);
      cos[t * n + i] = Math.cos(angle);
      sin[t * n + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}
