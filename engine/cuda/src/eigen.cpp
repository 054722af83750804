/*
 * Symmetric eigendecomposition in f64: Householder reduction to a tridiagonal matrix on the device, its eigenvalues by the implicit
 * QL algorithm on the host (EISPACK's tql2: Bowdler, Martin, Reinsch and Wilkinson, 1968), whose rotations the device applies to the
 * vectors, many sweeps at a time.
 */
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "engine.h"

using namespace sd;

namespace {

/** Rows of a matrix that one thread sums: see column_squares. */
constexpr int kRowsEach = 128;
/** Rotations that go to the device together. */
constexpr size_t kBatch = 1u << 20;
/** Sweeps for one eigenvalue; two are usual. */
constexpr int kMostSweeps = 50;

int parts_of(int size) { return (size + kRowsEach - 1) / kRowsEach; }

/** Working memory of the device. */
struct Work {
  explicit Work(sd_engine *e) : matrix(e), vectors(e), lines(e), parts(e) {}
  Scratch matrix, vectors, lines, parts;
  double *a, *z, *diagonal, *beside, *betas, *vector;
  int take(int n) {
    const size_t line = static_cast<size_t>(n) * sizeof(double);
    SD_TRY(matrix.take(n * line));
    SD_TRY(vectors.take(n * line));
    SD_TRY(lines.take(4 * line));
    SD_TRY(parts.take(parts_of(n) * line));
    a = matrix.at<double>();
    z = vectors.at<double>();
    diagonal = lines.at<double>();
    beside = diagonal + n;
    betas = beside + n;
    vector = betas + n;
    return SD_OK;
  }
};

/** w.vector := factor · vᵀ m for the size x size matrix m in rows of n. */
int times(sd_engine *e, Work &w, const double *v, const double *m, int size, int n, const double *factor) {
  const int n_parts = parts_of(size);
  SD_TRY(e->launch_over(n_parts, size, kernels::row_times, v, m, size, n, kRowsEach, w.parts.at<double>()));
  return e->launch_over(1, size, kernels::add_parts, w.parts.at<double>(), n_parts, size, factor, w.vector);
}

/** H = Qᵀ-transformed tridiagonal matrix; the reflections stay in the rows of a, right of the diagonal. */
int reduce(sd_engine *e, Work &w, int n) {
  for (int k = 0; k < n; k++) {
    SD_TRY(e->launch(kernels::reflector, {1, 1}, {16, 16}, w.a, n, k, w.diagonal, w.beside, w.betas));
    const int size = n - k - 1;
    if (size < 2) continue;
    double *v = w.a + static_cast<size_t>(k) * n + k + 1, *rest = v + n;
    SD_TRY(times(e, w, v, rest, size, n, w.betas + k));
    SD_TRY(e->launch(kernels::correct, {1, 1}, {16, 16}, v, size, w.betas + k, w.vector));
    SD_TRY(e->launch_over(size, size, kernels::subtract_both, v, w.vector, rest, size, n));
  }
  return SD_OK;
}

/** z := Qᵀ, the reflections multiplied from the last. */
int accumulate(sd_engine *e, Work &w, int n) {
  SD_TRY(e->launch_over(n, n, kernels::identity, w.z, n));
  for (int k = n - 3; k >= 0; k--) {
    const int size = n - k - 1;
    const size_t corner = static_cast<size_t>(k + 1) * n + k + 1;
    double *v = w.a + corner - n, *rest = w.z + corner;
    SD_TRY(times(e, w, v, rest, size, n, w.betas + k));
    SD_TRY(e->launch_over(size, size, kernels::subtract_outer, v, w.vector, rest, size, n));
  }
  return e->launch_over(n, n, kernels::transpose, w.z, n);
}

/** Rotations that wait for the device. */
class Rotations {
 public:
  Rotations(sd_engine *engine, double *z, int n) : engine(engine), z(z), n(n) {}
  void begin(int last) { lasts.push_back(last); }
  void add(double c, double s) {
    cosines.push_back(c);
    sines.push_back(s);
  }
  int end(int first) {
    firsts.push_back(first);
    return cosines.size() < kBatch ? SD_OK : flush();
  }
  int flush() {
    if (firsts.empty()) return SD_OK;
    Scratch first(engine), last(engine), c(engine), s(engine);
    SD_TRY(first.upload(firsts.data(), firsts.size()));
    SD_TRY(last.upload(lasts.data(), lasts.size()));
    SD_TRY(c.upload(cosines.data(), cosines.size()));
    SD_TRY(s.upload(sines.data(), sines.size()));
    SD_TRY(engine->launch_over(1, n, kernels::rotate_rows, z, n, first.at<const int>(), last.at<const int>(),
                               static_cast<int>(firsts.size()), c.at<const double>(), s.at<const double>()));
    for (auto *list : {&cosines, &sines}) list->clear();
    for (auto *list : {&firsts, &lasts}) list->clear();
    return SD_OK;
  }

 private:
  sd_engine *engine;
  double *z;
  int n;
  std::vector<int> firsts, lasts;
  std::vector<double> cosines, sines;
};

/** One implicit QL sweep on the unreduced block l … m. e[i] lies between d[i] and d[i + 1]. */
int sweep(std::vector<double> &d, std::vector<double> &e, int l, int m, Rotations &rotations) {
  double g = (d[l + 1] - d[l]) / (2 * e[l]);
  g = d[m] - d[l] + e[l] / (g + std::copysign(std::hypot(g, 1.0), g));
  double s = 1, c = 1, p = 0;
  rotations.begin(m);
  for (int i = m - 1; i >= l; i--) {
    const double f = s * e[i], b = c * e[i], r = std::hypot(f, g);
    e[i + 1] = r;
    if (r == 0) {
      d[i + 1] -= p;
      e[m] = 0;
      return rotations.end(i + 1);
    }
    s = f / r;
    c = g / r;
    g = d[i + 1] - p;
    const double t = (d[i] - g) * s + 2 * c * b;
    p = s * t;
    d[i + 1] = g + p;
    g = c * t - b;
    rotations.add(c, s);
  }
  d[l] -= p;
  e[l] = g;
  e[m] = 0;
  return rotations.end(l);
}

/** The end of the block that begins at l: the first m whose neighbour to the right is negligible. */
int block_end(const std::vector<double> &d, const std::vector<double> &e, int l) {
  const int n = static_cast<int>(d.size());
  int m = l;
  while (m < n - 1 && std::abs(e[m]) > std::numeric_limits<double>::epsilon() * (std::abs(d[m]) + std::abs(d[m + 1]))) m++;
  return m;
}

/** d := the eigenvalues of the tridiagonal matrix (d, e), the rotations being handed on. */
int diagonalise(std::vector<double> &d, std::vector<double> &e, Rotations &rotations) {
  const int n = static_cast<int>(d.size());
  e[n - 1] = 0;
  for (int l = 0; l < n; l++) {
    for (int sweeps = 0;; sweeps++) {
      const int m = block_end(d, e, l);
      if (m == l) break;
      if (sweeps == kMostSweeps) return fail(SD_NO_CONVERGENCE, "eigenvalue " + std::to_string(l) + " did not converge");
      SD_TRY(sweep(d, e, l, m, rotations));
    }
  }
  return rotations.flush();
}

}  // namespace

int32_t sd_eigh(sd_engine *e, sd_address h, int32_t n, int32_t stride, double *values, sd_address vectors, int32_t vectors_stride) {
  SD_TRY(e->enter());
  if (n == 0) return SD_OK;
  Work w(e);
  SD_TRY(w.take(n));
  SD_TRY(e->clear_status());
  SD_TRY(e->launch_over(n, n, kernels::widen, at<const float>(h), n, stride, w.a, at<int>(e->status)));
  if (e->read_status() != SD_OK) return fail(SD_NOT_FINITE, "NaN or infinity");
  SD_TRY(reduce(e, w, n));
  SD_TRY(accumulate(e, w, n));
  std::vector<double> d(n), beside(n);
  const size_t line = static_cast<size_t>(n) * sizeof(double);
  SD_TRY(e->read(reinterpret_cast<DeviceAddress>(w.diagonal), line, d.data(), line, 1));
  SD_TRY(e->read(reinterpret_cast<DeviceAddress>(w.beside), line, beside.data(), line, 1));
  Rotations rotations(e, w.z, n);
  SD_TRY(diagonalise(d, beside, rotations));
  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return d[a] < d[b]; });
  for (int j = 0; j < n; j++) values[j] = d[order[j]];
  Scratch list(e);
  SD_TRY(list.upload(order.data(), order.size()));
  return e->launch_over(n, n, kernels::narrow, w.z, n, list.at<const int>(), at<float>(vectors), vectors_stride);
}
