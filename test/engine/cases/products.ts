import { combine, multiply, norm, type Plain, plain, transpose, upper } from "../../support/plain.ts";
import { type Case, type Layout, layouts, sizes, type Trial } from "../trial.ts";

const transposes = [
  [false, false],
  [true, false],
  [false, true],
  [true, true],
] as const;

/** rows of C, depth, columns of C; the last two cross the cache blocks of kernels. */
const rectangles = [
  [1, 130, 1],
  [130, 1, 97],
  [3, 64, 5],
  [33, 17, 2],
  [7, 45, 50],
  [30, 77, 11],
  [64, 31, 130],
  [5, 97, 33],
  [70, 600, 300],
  [290, 530, 40],
] as const;

/** C := alpha op(A) op(B) + beta C against plain f64, in every transposition. */
function gemmCase(name: string, m: number, depth: number, n: number, layout: Layout, alpha = 1, beta = 0): Case {
  return {
    name: `gemm ${name} ${m} x ${depth} x ${n}, ${layout}`,
    run(t) {
      for (const [transA, transB] of transposes) checkGemm(t, m, depth, n, layout, transA, transB, alpha, beta);
    },
  };
}

function checkGemm(
  t: Trial,
  m: number,
  depth: number,
  n: number,
  layout: Layout,
  transA: boolean,
  transB: boolean,
  alpha: number,
  beta: number,
): void {
  const [a, b, c] = [t.normal(m, depth), t.normal(depth, n), t.normal(m, n)];
  const A = t.matrix(transA ? transpose(a) : a, layout);
  const B = t.matrix(transB ? transpose(b) : b, layout);
  const C = beta === 0 ? t.blank(m, n, layout) : t.matrix(c, layout);
  t.engine.gemm(alpha, A, transA, B, transB, beta, C);
  const expected = combine(alpha, multiply(a, b), beta, c);
  t.near(t.plain(C), expected, Math.abs(alpha) * norm(a) * norm(b) + Math.abs(beta) * norm(c), depth);
}

const gemms: Case[] = [
  ...sizes.flatMap((n) => layouts.map((layout) => gemmCase("square", n, n, n, layout))),
  ...rectangles.flatMap(([m, k, n]) => layouts.map((layout) => gemmCase("rectangle", m, k, n, layout))),
  gemmCase("with alpha", 17, 33, 31, "view", -0.5, 0),
  gemmCase("accumulating", 17, 33, 31, "view", 1, 1),
  gemmCase("with alpha and beta", 97, 33, 64, "view", 2.5, -0.75),
  gemmCase("with no depth", 5, 0, 3, "dense", 1, 0.5),
  gemmCase("with no depth, clearing", 5, 0, 3, "dense", 1, 0),
  gemmCase("with no rows", 0, 4, 3, "dense"),
  {
    name: "gemm of few rows with a transposed matrix: each row is what it is alone, bit for bit",
    run(t) {
      // cuBLAS takes another kernel for another number of rows; its sums are promised for one shape alone.
      if (t.engine.info.name === "cuda") return;
      const [a, b] = [t.matrix(t.normal(30, 77)), t.matrix(t.normal(53, 77))];
      const product = (first: number, rows: number) => {
        const c = t.blank(rows, 53);
        t.engine.gemm(1, a.view(first, 0, rows, 77), false, b, true, 0, c);
        return [...t.plain(c).values];
      };
      const alone = Array.from({ length: 30 }, (_, row) => product(row, 1)).flat();
      for (const rows of [2, 3, 4, 7, 8, 9, 15, 16, 30]) {
        const got = product(30 - rows, rows);
        if (got.some((value, i) => value !== alone[(30 - rows) * 53 + i])) throw new Error(`differs with ${rows} rows`);
      }
    },
  },
  {
    name: "gemm of overlapping views of one matrix",
    run(t) {
      const whole = t.normal(60, 50);
      const W = t.matrix(whole);
      const block = (row: number, col: number) => plain(33, 31, (i, j) => whole.values[(row + i) * 50 + col + j]);
      const C = t.blank(33, 33, "view");
      t.engine.gemm(1, W.view(2, 5, 33, 31), false, W.view(9, 11, 33, 31), true, 0, C);
      const [a, b] = [block(2, 5), block(9, 11)];
      t.near(t.plain(C), multiply(a, transpose(b)), norm(a) * norm(b), 31);
    },
  },
  {
    name: "gemm of a matrix with its own transpose, into another part of the same allocation",
    run(t) {
      const whole = t.normal(70, 40);
      const W = t.matrix(whole);
      const A = W.view(0, 0, 33, 40);
      t.engine.gemm(1, A, false, A, true, 0, W.view(35, 2, 33, 33));
      const a = plain(33, 40, (i, j) => whole.values[i * 40 + j]);
      t.near(t.plain(W.view(35, 2, 33, 33)), multiply(a, transpose(a)), norm(a) ** 2, 40);
      t.near(t.plain(A), a, 0, 0);
    },
  },
];

/** Upper triangle of C := alpha AᵀA + beta C. */
function checkSyrk(t: Trial, depth: number, n: number, layout: Layout, alpha: number, beta: number): void {
  const [a, c] = [t.normal(depth, n), t.normal(n, n)];
  const C = beta === 0 ? t.blank(n, n, layout) : t.matrix(c, layout);
  t.engine.syrk(alpha, t.matrix(a, layout), beta, C);
  const expected = combine(alpha, multiply(transpose(a), a), beta, c);
  const scale = Math.abs(alpha) * norm(a) ** 2 + Math.abs(beta) * norm(c);
  t.near(upper(t.plain(C)), upper(expected), scale, depth);
}

const syrks: Case[] = [
  ...[...sizes, 270].flatMap((n) =>
    layouts.map((layout) => ({
      name: `syrk ${n}, ${layout}`,
      run(t: Trial) {
        for (const depth of [1, n, 77]) checkSyrk(t, depth, n, layout, 1, 0);
        checkSyrk(t, 20, n, layout, 2, 1);
        checkSyrk(t, 5, n, layout, -0.5, 0.25);
      },
    })),
  ),
  {
    name: "syrk deeper than a cache block",
    run: (t) => checkSyrk(t, 1100, 33, "view", 2 / 3, 1),
  },
  {
    name: "syrk with no rows only scales",
    run: (t) => checkSyrk(t, 0, 17, "dense", 1, 0.5),
  },
  {
    name: "syrk of two parts adds up to syrk of the whole",
    run(t) {
      const a = t.normal(90, 33);
      const A = t.matrix(a);
      const C = t.blank(33, 33);
      t.engine.syrk(1, A.view(0, 0, 41, 33), 0, C);
      t.engine.syrk(1, A.view(41, 0, 49, 33), 1, C);
      t.near(upper(t.plain(C)), upper(multiply(transpose(a), a)), norm(a) ** 2, 90);
    },
  },
];

function mirrored(a: Plain): Plain {
  return plain(a.rows, a.cols, (i, j) => a.values[Math.min(i, j) * a.cols + Math.max(i, j)]);
}

const mirrors: Case[] = sizes.flatMap((n) =>
  layouts.map((layout) => ({
    name: `mirror ${n}, ${layout}`,
    run(t: Trial) {
      const a = t.normal(n, n);
      const A = t.matrix(a, layout);
      t.engine.mirror(A);
      t.near(t.plain(A), mirrored(a), 0, 0);
    },
  })),
);

export const productCases: readonly Case[] = [...gemms, ...syrks, ...mirrors];
