/** Plain dense f64 algebra on row-major arrays: what the tests hold an engine against. */

/** A row-major matrix of numbers. */
export interface Plain {
  readonly rows: number;
  readonly cols: number;
  readonly values: Float64Array;
}

/** A matrix from a formula for element (i, j). */
export function plain(rows: number, cols: number, element: (i: number, j: number) => number): Plain {
  const values = Float64Array.from({ length: rows * cols }, (_, at) => element(Math.floor(at / cols), at % cols));
  return { rows, cols, values };
}

/** A matrix that takes the given row-major numbers. */
export function plainOf(rows: number, cols: number, values: ArrayLike<number>): Plain {
  return { rows, cols, values: Float64Array.from(values) };
}

export function transpose(a: Plain): Plain {
  return plain(a.cols, a.rows, (i, j) => a.values[j * a.cols + i]);
}

/** A B. */
export function multiply(a: Plain, b: Plain): Plain {
  const values = new Float64Array(a.rows * b.cols);
  for (let i = 0; i < a.rows; i++) {
    for (let k = 0; k < a.cols; k++) {
      const factor = a.values[i * a.cols + k];
      for (let j = 0; j < b.cols; j++) values[i * b.cols + j] += factor * b.values[k * b.cols + j];
    }
  }
  return { rows: a.rows, cols: b.cols, values };
}

/** alpha A + beta B. */
export function combine(alpha: number, a: Plain, beta: number, b: Plain): Plain {
  return { ...a, values: a.values.map((value, at) => alpha * value + beta * b.values[at]) };
}

export function identity(n: number): Plain {
  return plain(n, n, (i, j) => (i === j ? 1 : 0));
}

/** The upper triangle with its diagonal, zeros below. */
export function upper(a: Plain): Plain {
  return plain(a.rows, a.cols, (i, j) => (i <= j ? a.values[i * a.cols + j] : 0));
}

/** The given rows and columns. */
export function pick(a: Plain, rows: ArrayLike<number>, cols: ArrayLike<number>): Plain {
  return plain(rows.length, cols.length, (i, j) => a.values[rows[i] * a.cols + cols[j]]);
}

/** Frobenius norm. */
export function norm(a: Plain): number {
  return Math.sqrt(a.values.reduce((sum, value) => sum + value * value, 0));
}
