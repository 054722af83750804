import { ModelError } from "./error.ts";

/** How the next token is drawn. Without `temperature`, or with 0: the likeliest (the first of equals). */
export interface Sampling {
  readonly temperature?: number;
  /** Draw among the k likeliest tokens only. */
  readonly topK?: number;
  /** Draw among the fewest likeliest tokens whose probabilities sum to at least this; 0 < topP <= 1. */
  readonly topP?: number;
}

/**
 * The next token given its logits; `random` yields numbers in [0, 1).
 * @throws ModelError (`notFinite`) when a logit is NaN or +∞, or all are −∞.
 */
export function nextToken(logits: Float32Array, sampling: Sampling, random: () => number): number {
  const best = likeliest(logits);
  const { temperature = 0, topK = logits.length, topP = 1 } = sampling;
  if (temperature === 0) return best;
  const weights = logits.map((logit) => Math.exp((logit - logits[best]) / temperature));
  const candidates = restrict(weights, topK, topP);
  return draw(candidates, weights, random());
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let i = 0; i < logits.length; i++) {
    // Also true for NaN, which no comparison with a number accepts.
    if (!(logits[i] <= logits[best])) best = i;
    if (Number.isNaN(logits[best])) break;
  }
  if (Number.isFinite(logits[best])) return best;
  throw new ModelError("notFinite", [`The model computed the logit ${logits[best]}: its weights are damaged.`]);
}

/** Tokens that top-k, then top-p, leave (the order of Hugging Face generate); in descending order if either cuts. */
function restrict(weights: Float32Array, topK: number, topP: number): Uint32Array {
  const tokens = Uint32Array.from(weights, (_, token) => token);
  if (topK >= tokens.length && topP >= 1) return tokens;
  const least = leastWeight(weights, topK, topP);
  const few = tokens.filter((token) => weights[token] >= least);
  const top = few.sort((a, b) => weights[b] - weights[a] || a - b).subarray(0, topK);
  const whole = topK < weights.length ? top.reduce((sum, token) => sum + weights[token], 0) : total(weights);
  let sum = 0;
  const last = top.findIndex((token) => {
    sum += weights[token];
    return sum >= topP * whole;
  });
  return last < 0 ? top : top.subarray(0, last + 1);
}

/**
 * A weight below which neither cut keeps a token, so that few need to be sorted: that of the k-th, or one so small that all
 * tokens below it together have less than 1 − topP of the total.
 */
function leastWeight(weights: Float32Array, topK: number, topP: number): number {
  if (topK < weights.length) return weights.toSorted()[weights.length - topK];
  return ((1 - topP) * total(weights)) / weights.length / 2;
}

function total(weights: Float32Array): number {
  return weights.reduce((sum, weight) => sum + weight, 0);
}

/** The candidate at the share `point` of their total weight. */
function draw(candidates: Uint32Array, weights: Float32Array, point: number): number {
  let left = point * candidates.reduce((sum, token) => sum + weights[token], 0);
  for (const token of candidates) {
    left -= weights[token];
    if (left < 0) return token;
  }
  return candidates[0];
}

/** Uniform numbers in [0, 1), the same for the same seed and stream (Mulberry32, Tommy Ettinger, public domain). */
export function randomStream(seed: number, stream: number): () => number {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(stream + 1, 0xc2b2ae35);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
