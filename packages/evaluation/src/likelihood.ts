import { generateScored, type Model } from "@safedelta/model";
import { EvaluationError } from "./errors.ts";

/**
 * log p(choice | prompt) in nats of each choice, summed over its tokens; MMLU takes the letters after "Answer:" (Hendrycks et al. 2021).
 * The prompt runs once for each choice. @throws EvaluationError for an empty prompt or choice; ModelError as `generate`
 */
export function choiceLogLikelihoods(
  model: Model,
  prompt: readonly number[],
  choices: readonly (readonly number[])[],
): number[] {
  if (prompt.length === 0 || choices.length === 0 || choices.some(({ length }) => length === 0))
    throw new EvaluationError("choices: a prompt and at least one choice are needed, each of a token or more");
  const texts = choices.map((choice) => [...prompt, ...choice]);
  const sequences = generateScored(model, texts, { maxNewTokens: 0, scorePrompt: true, nTop: 0 });
  return sequences.map(({ promptScores }) =>
    promptScores.slice(prompt.length - 1).reduce((sum, { logprob }) => sum + logprob, 0),
  );
}

/**
 * log(p / (1 − p)) of the next token being one of `ids` (the first tokens of refusals): above 0 they are likelier than all else.
 * @param logits of the prompt's last position @throws EvaluationError without ids, with all of them, or for ids out of range
 */
export function logOdds(logits: Float32Array, ids: readonly number[]): number {
  const inside = new Set(ids);
  const isId = (id: number) => Number.isInteger(id) && id >= 0 && id < logits.length;
  if (inside.size === 0 || inside.size >= logits.length || !ids.every(isId))
    throw new EvaluationError(`log-odds: token ids [${ids}] of ${logits.length}; some must be in and some out`);
  const others = logits.filter((_, id) => !inside.has(id));
  return logSumExp(Float32Array.from(inside, (id) => logits[id])) - logSumExp(others);
}

/** KL(p ‖ q) in nats between the next-token distributions of two models, Σ p·(log p − log q). @throws EvaluationError for other lengths */
export function klDivergence(p: Float32Array, q: Float32Array): number {
  if (p.length === 0 || p.length !== q.length)
    throw new EvaluationError(`KL: ${p.length} and ${q.length} logits; the models must share a vocabulary`);
  const [sumP, sumQ] = [logSumExp(p), logSumExp(q)];
  let divergence = 0;
  for (let id = 0; id < p.length; id++) {
    const logP = p[id] - sumP;
    if (logP > Number.NEGATIVE_INFINITY) divergence += Math.exp(logP) * (logP - (q[id] - sumQ));
  }
  return Math.max(0, divergence);
}

/** In f64; the largest is taken out first, so that nothing overflows. */
function logSumExp(values: Float32Array): number {
  const most = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return most + Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0));
}
