/** A token and the natural logarithm of its probability. */
export interface TokenScore {
  readonly id: number;
  readonly logprob: number;
}

/** How likely a token was where it stands, by the model's own distribution: temperature, top-k and top-p have no part in it. */
export interface ScoredToken extends TokenScore {
  /** The likeliest tokens there, the likeliest first; of equals the smaller id. */
  readonly top: readonly TokenScore[];
}

/** log softmax(logits) at `id`, and at the `nTop` likeliest tokens. */
export function scoreToken(logits: Float32Array, id: number, nTop: number): ScoredToken {
  const normaliser = logSumExp(logits);
  const score = (token: number): TokenScore => ({ id: token, logprob: logits[token] - normaliser });
  return { ...score(id), top: largest(logits, nTop).map(score) };
}

/** log Σ eˣ, summed in f64. */
function logSumExp(numbers: Float32Array): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of numbers) if (value > most) most = value;
  let sum = 0;
  for (const value of numbers) sum += Math.exp(value - most);
  return most + Math.log(sum);
}

/** Places of the n largest numbers, the largest first; of equals the first. */
export function largest(numbers: Float32Array, n: number): number[] {
  const found: number[] = [];
  if (n < 1) return found;
  for (let i = 0; i < numbers.length; i++) {
    if (found.length === n && !(numbers[i] > numbers[found[n - 1]])) continue;
    if (found.length === n) found.pop();
    let place = found.length;
    while (place > 0 && numbers[found[place - 1]] < numbers[i]) place--;
    found.splice(place, 0, i);
  }
  return found;
}
