// Steps of the symmetric eigendecomposition, in f64; eigen.cpp tells the whole. Matrices here are dense, `n` apart.
#ifndef SD_EIGEN_CUH
#define SD_EIGEN_CUH

#include "grid.cuh"

/** a := the symmetric matrix whose upper triangle is that of h; *status := 1 when a number is not finite. */
SD_KERNEL(widen)(const float *h, int n, int stride, double *a, int *status) {
  SD_EACH_ROW(i, n) SD_EACH_COL(j, n) {
    const float value = i <= j ? h[i * stride + j] : h[j * stride + i];
    a[i * n + j] = value;
    if (!(value - value == 0)) *status = 1;
  }
}

/**
 * The Householder reflection I − beta v vᵀ, v₀ = 1, that leaves of row k, right of the diagonal x, its length alone (Golub and Van
 * Loan, algorithm 5.1.1). v takes the place of x. diagonal[k], beside[k] := what stands on and beside the diagonal then. One block.
 */
SD_KERNEL(reflector)(double *a, int n, int k, double *diagonal, double *beside, double *betas) {
  SD_SHARED(double, work, SD_THREADS);
  double *x = a + static_cast<long>(k) * n + k + 1;
  const int length = n - k - 1, t = thread_number();
  double squares = 0;
  for (int i = 1 + t; i < length; i += SD_THREADS) squares += x[i] * x[i];
  const double rest = reduce(squares, work, Sum());
  const double head = length > 0 ? x[0] : 0;
  SD_BARRIER();
  const double norm = rest == 0 ? head : sqrt(head * head + rest);
  const double first = rest == 0 ? 1 : head <= 0 ? head - norm : -rest / (head + norm);
  for (int i = t; i < length; i += SD_THREADS) x[i] = i == 0 ? 1 : x[i] / first;
  if (t != 0) return;
  diagonal[k] = x[-1];
  beside[k] = norm;
  betas[k] = rest == 0 ? 0 : 2 * first * first / (rest + first * first);
}

/** parts[p][j] := Σ v_i m_ij over the `rows_each` rows of part p, for the `size` x `size` matrix m in rows of n. */
SD_KERNEL(row_times)(const double *v, const double *m, int size, int n, int rows_each, double *parts) {
  SD_EACH_ROW(part, (size + rows_each - 1) / rows_each) SD_EACH_COL(j, size) {
    const long first = part * rows_each, end = first + rows_each < size ? first + rows_each : size;
    double sum = 0;
    for (long i = first; i < end; i++) sum += v[i] * m[i * n + j];
    parts[part * size + j] = sum;
  }
}

/** to[j] := *factor · Σ_p parts[p][j]. */
SD_KERNEL(add_parts)(const double *parts, int n_parts, int size, const double *factor, double *to) {
  SD_EACH_ROW(only, 1) SD_EACH_COL(j, size) {
    double sum = 0;
    for (long part = only; part < n_parts; part++) sum += parts[part * size + j];
    to[j] = *factor * sum;
  }
}

/** p := p − (beta/2 · vᵀp) v. One block. */
SD_KERNEL(correct)(const double *v, int size, const double *beta, double *p) {
  SD_SHARED(double, work, SD_THREADS);
  double product = 0;
  for (int i = thread_number(); i < size; i += SD_THREADS) product += v[i] * p[i];
  const double share = *beta / 2 * reduce(product, work, Sum());
  for (int i = thread_number(); i < size; i += SD_THREADS) p[i] -= share * v[i];
}

/** m := m − v wᵀ − w vᵀ. */
SD_KERNEL(subtract_both)(const double *v, const double *w, double *m, int size, int n) {
  SD_EACH_ROW(i, size) SD_EACH_COL(j, size) m[i * n + j] -= v[i] * w[j] + w[i] * v[j];
}

/** m := m − v wᵀ. */
SD_KERNEL(subtract_outer)(const double *v, const double *w, double *m, int size, int n) {
  SD_EACH_ROW(i, size) SD_EACH_COL(j, size) m[i * n + j] -= v[i] * w[j];
}

/** m := I. */
SD_KERNEL(identity)(double *m, int n) {
  SD_EACH_ROW(i, n) SD_EACH_COL(j, n) m[i * n + j] = i == j;
}

/** m := mᵀ. */
SD_KERNEL(transpose)(double *m, int n) {
  SD_EACH_ROW(i, n) SD_EACH_COL(j, i) {
    const double upper = m[j * n + i];
    m[j * n + i] = m[i * n + j];
    m[i * n + j] = upper;
  }
}

/**
 * Rotate rows of z: sweep number q turns the rows (i, i + 1) for i = last[q] − 1 down to first[q], the cosines and sines of all
 * sweeps lying one after the other. A thread takes a column, so it meets every rotation in order.
 */
SD_KERNEL(rotate_rows)(double *z, int n, const int *first, const int *last, int n_sweeps, const double *cosines, const double *sines) {
  SD_EACH_ROW(only, 1) SD_EACH_COL(j, n) {
    long rotation = only;
    for (int q = 0; q < n_sweeps; q++) {
      double below = z[static_cast<long>(last[q]) * n + j];
      for (long i = last[q] - 1; i >= first[q]; i--, rotation++) {
        const double c = cosines[rotation], s = sines[rotation], above = z[i * n + j];
        z[(i + 1) * n + j] = s * above + c * below;
        below = c * above - s * below;
      }
      z[static_cast<long>(first[q]) * n + j] = below;
    }
  }
}

/** out[i][j] := z[order[j]][i]. */
SD_KERNEL(narrow)(const double *z, int n, const int *order, float *out, int stride) {
  SD_EACH_ROW(i, n) SD_EACH_COL(j, n) out[i * stride + j] = static_cast<float>(z[static_cast<long>(order[j]) * n + i]);
}

#endif
