import { EngineError } from "../engine.ts";

/**
 * Eigendecomposition of a symmetric matrix by Householder tridiagonalisation and the implicit QL iteration with Wilkinson's
 * shift (Golub and Van Loan, Matrix Computations, 8.3); about 10n³ operations.
 */

/** A decomposition under way: H = Zᵀ T Z with T tridiagonal. Z is kept by rows, which become the eigenvectors. */
interface Tridiagonal {
  readonly n: number;
  /** n numbers; the eigenvalues in the end. */
  readonly diagonal: Float64Array;
  /** off[i] couples i and i + 1; the last is zero. */
  readonly off: Float64Array;
  /** n x n. */
  readonly z: Float64Array;
  /** Couplings up to this size count as zero. */
  readonly negligible: number;
}

/** A column is converged when its coupling falls below this share of the largest entry of T: the rounding of H itself. */
const epsilon = 2 ** -52;
/** QL sweeps allowed for one eigenvalue; two are usual. */
const maxSweeps = 60;

/**
 * Eigenvalues in ascending order and orthonormal eigenvectors of the full symmetric n x n matrix `h`, which is overwritten.
 * Row j of `vectors` belongs to values[j].
 */
export function symmetricEigen(h: Float64Array, n: number): { values: Float64Array; vectors: Float64Array } {
  if (!h.every(Number.isFinite))
    throw new EngineError("eigh", `the ${n} x ${n} matrix holds a number that is not finite`);
  const t = tridiagonalise(h, n);
  for (let i = 0; i < n; i++) isolateEigenvalue(t, i);
  const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => t.diagonal[a] - t.diagonal[b]);
  const vectors = new Float64Array(n * n);
  order.forEach((from, to) => {
    vectors.set(t.z.subarray(from * n, from * n + n), to * n);
  });
  return { values: Float64Array.from(order, (from) => t.diagonal[from]), vectors };
}

/** Reflect H to tridiagonal form, one column at a time, and collect the reflections in Z. */
function tridiagonalise(h: Float64Array, n: number): Tridiagonal {
  const reflectors: Float64Array[] = [];
  const off = new Float64Array(n);
  for (let k = 0; k + 1 < n; k++) {
    const { v, norm } = householder(h, n, k);
    off[k] = norm;
    reflectors.push(v);
    reflectBothSides(h, n, k + 1, v);
  }
  const diagonal = Float64Array.from({ length: n }, (_, i) => h[i * n + i]);
  const largest = [...diagonal, ...off].reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return { n, diagonal, off, z: accumulate(reflectors, n), negligible: epsilon * largest };
}

/**
 * v (scaled so that vᵀv = 2, or zero when nothing is to be done) with (I − v vᵀ) x = norm · e₁, where x is column k of H below
 * the diagonal.
 */
function householder(h: Float64Array, n: number, k: number): { v: Float64Array; norm: number } {
  const x = h.slice(k * n + k + 1, k * n + n); // by symmetry the row
  const tail = length(x.subarray(1));
  if (tail === 0) return { v: x.fill(0), norm: h[k * n + k + 1] };
  const norm = x[0] > 0 ? -length(x) : length(x);
  x[0] -= norm;
  const scale = Math.SQRT2 / length(x);
  return { v: x.map((value) => value * scale), norm };
}

/** Euclidean length, scaled against overflow and underflow. */
function length(x: Float64Array): number {
  let largest = 0;
  for (const value of x) largest = Math.max(largest, Math.abs(value));
  if (!(largest > 0)) return largest;
  let sum = 0;
  for (const value of x) sum += (value / largest) ** 2;
  return largest * Math.sqrt(sum);
}

/** S := (I − v vᵀ) S (I − v vᵀ) for the trailing square S of H from `start`: S − v wᵀ − w vᵀ, w = p − ½(vᵀp)v, p = S v. */
function reflectBothSides(h: Float64Array, n: number, start: number, v: Float64Array): void {
  const w = new Float64Array(v.length);
  let vp = 0;
  for (let i = 0; i < v.length; i++) {
    const row = (start + i) * n + start;
    for (let j = 0; j < v.length; j++) w[i] += h[row + j] * v[j];
    vp += v[i] * w[i];
  }
  for (let i = 0; i < v.length; i++) w[i] -= 0.5 * vp * v[i];
  for (let i = 0; i < v.length; i++) {
    const row = (start + i) * n + start;
    for (let j = 0; j < v.length; j++) h[row + j] -= v[i] * w[j] + w[i] * v[j];
  }
}

/** Z = P_last … P_0 by rows, built from the last reflection so that each touches only its own trailing square. */
function accumulate(reflectors: Float64Array[], n: number): Float64Array {
  const z = new Float64Array(n * n);
  for (let i = 0; i < n; i++) z[i * n + i] = 1;
  for (let k = reflectors.length - 1; k >= 0; k--) reflectRows(z, n, k + 1, reflectors[k]);
  return z;
}

/** S := S (I − v vᵀ) for the trailing square S of Z from `start`. */
function reflectRows(z: Float64Array, n: number, start: number, v: Float64Array): void {
  for (let i = start; i < n; i++) {
    const row = i * n + start;
    let dot = 0;
    for (let j = 0; j < v.length; j++) dot += z[row + j] * v[j];
    for (let j = 0; j < v.length; j++) z[row + j] -= dot * v[j];
  }
}

/** QL sweeps until row `start` of T is decoupled from the rest. */
function isolateEigenvalue(t: Tridiagonal, start: number): void {
  for (let sweep = 0; sweep < maxSweeps; sweep++) {
    const end = blockEnd(t, start);
    if (end === start) return;
    sweepUp(t, start, end);
  }
  throw new EngineError("eigh", `no convergence for eigenvalue ${start} of ${t.n} after ${maxSweeps} sweeps`);
}

/** Last row of the unreduced block that begins at `start`. */
function blockEnd({ n, off, negligible }: Tridiagonal, start: number): number {
  let end = start;
  while (end + 1 < n && Math.abs(off[end]) > negligible) end++;
  return end;
}

/** One implicit QL sweep over rows start … end: a bulge is chased from the bottom to the top by plane rotations. */
function sweepUp({ n, diagonal, off, z }: Tridiagonal, start: number, end: number): void {
  let g = diagonal[end] - wilkinsonShift(diagonal[start], diagonal[start + 1], off[start]);
  let sine = 1;
  let cosine = 1;
  let carried = 0;
  for (let i = end - 1; i >= start; i--) {
    const f = sine * off[i];
    const b = cosine * off[i];
    const radius = Math.hypot(f, g);
    off[i + 1] = radius;
    if (radius === 0) {
      diagonal[i + 1] -= carried; // the block split on the way: the next sweep takes the smaller one
      off[end] = 0;
      return;
    }
    sine = f / radius;
    cosine = g / radius;
    const d = diagonal[i + 1] - carried;
    const q = (diagonal[i] - d) * sine + 2 * cosine * b;
    carried = sine * q;
    diagonal[i + 1] = d + carried;
    g = cosine * q - b;
    rotateRows(z, n, i, cosine, sine);
  }
  diagonal[start] -= carried;
  off[start] = g;
  off[end] = 0;
}

/** The eigenvalue of [[a, b], [b, c]] nearer to a. */
function wilkinsonShift(a: number, c: number, b: number): number {
  const half = (c - a) / (2 * b);
  return a - b / (half + (half >= 0 ? 1 : -1) * Math.hypot(half, 1));
}

/** (z[i], z[i+1]) := (c · z[i] − s · z[i+1], s · z[i] + c · z[i+1]). */
function rotateRows(z: Float64Array, n: number, i: number, c: number, s: number): void {
  const top = i * n;
  const bottom = top + n;
  for (let j = 0; j < n; j++) {
    const a = z[top + j];
    const b = z[bottom + j];
    z[top + j] = c * a - s * b;
    z[bottom + j] = s * a + c * b;
  }
}
