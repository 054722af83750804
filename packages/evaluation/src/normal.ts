/** z with Φ(z) = p for p in [0.5, 1). Φ is concave there, so Newton's steps from 0 rise to z without overshooting. */
export function normalQuantile(p: number): number {
  let z = 0;
  for (let step = Number.POSITIVE_INFINITY; step > 1e-14 * z; z += step) {
    step = (p - normalCdf(z)) / normalDensity(z);
  }
  return z;
}

function normalDensity(z: number): number {
  return Math.exp(-z * z * 0.5) / Math.sqrt(2 * Math.PI);
}

/** Φ(z) = ½ + φ(z)·(z + z³/3 + z⁵/(3·5) + …) for z >= 0; all terms are positive, so nothing cancels (Abramowitz & Stegun 26.2.11). */
function normalCdf(z: number): number {
  let term = z;
  let sum = z;
  for (let odd = 3; term > 1e-17 * sum; odd += 2) {
    term *= (z * z) / odd;
    sum += term;
  }
  return 0.5 + normalDensity(z) * sum;
}
