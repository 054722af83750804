/*
 * Products and triangles by cuBLAS, which is column-major: what is a row-major matrix to us is its transpose there, an upper
 * triangle R the lower one of Rᵀ.
 */
#include <algorithm>

#include "engine.h"

using namespace sd;

namespace {

/** Columns of the Hessian that are computed together: of each panel only the rows down to its diagonal block. */
constexpr int kPanel = 512;

/** Where to halve n > SD_BLOCK: a multiple of SD_BLOCK, so that the small blocks are full ones. */
int half_of(int n) { return (n / 2 + SD_BLOCK - 1) / SD_BLOCK * SD_BLOCK; }

/** B := alpha · B op(R)⁻¹, R n x n upper, B rows x n. */
int solve_right(sd_engine *e, float alpha, const float *r, int n, int r_stride, bool transposed, float *b, int rows, int stride) {
  if (rows == 0 || n == 0) return SD_OK;
  const int op = transposed ? kT : kN;
  return e->check_blas(e->blas.strsm(e->handle, kLeft, kLower, op, kNonUnit, n, rows, &alpha, r, r_stride, b, stride), "cublasStrsm");
}

/** B := R⁻¹ B, R n x n upper, B n x cols. */
int solve_left(sd_engine *e, const float *r, int n, int r_stride, float *b, int cols, int stride) {
  const float one = 1;
  return e->check_blas(e->blas.strsm(e->handle, kRight, kLower, kN, kNonUnit, cols, n, &one, r, r_stride, b, stride), "cublasStrsm");
}

/** R₂₂ from H₂₂, R₁₂ = H₁₂ R₂₂⁻ᵀ, R₁₁ from H₁₁ − R₁₂ R₁₂ᵀ. A bad pivot is left in the engine's status. */
int factor(sd_engine *e, float *h, int n, int stride, int first_row) {
  if (n <= SD_BLOCK) {
    return e->launch(kernels::cholesky_block, {1, 1}, {16, 16}, h, n, stride, first_row, at<int>(e->status));
  }
  const int first = half_of(n), rest = n - first;
  float *h12 = h + first, *h22 = h12 + static_cast<size_t>(first) * stride;
  SD_TRY(factor(e, h22, rest, stride, first_row + first));
  SD_TRY(solve_right(e, 1, h22, rest, stride, true, h12, first, stride));
  const float minus = -1, one = 1;
  const int result = e->blas.ssyrk(e->handle, kLower, kT, first, rest, &minus, h12, stride, &one, h, stride);
  SD_TRY(e->check_blas(result, "cublasSsyrk"));
  return factor(e, h, first, stride, first_row);
}

/** [[R₁₁, R₁₂], [0, R₂₂]]⁻¹ = [[R₁₁⁻¹, −R₁₁⁻¹ R₁₂ R₂₂⁻¹], [0, R₂₂⁻¹]]. */
int invert(sd_engine *e, float *r, int n, int stride) {
  if (n <= SD_BLOCK) return e->launch(kernels::invert_block, {1, 1}, {16, 16}, r, n, stride);
  const int first = half_of(n), rest = n - first;
  float *r12 = r + first, *r22 = r12 + static_cast<size_t>(first) * stride;
  SD_TRY(solve_right(e, -1, r22, rest, stride, false, r12, first, stride));
  SD_TRY(solve_left(e, r, first, stride, r12, rest, stride));
  SD_TRY(invert(e, r, first, stride));
  return invert(e, r22, rest, stride);
}

/** A zero on the diagonal of r, before anything is written. */
int require_pivots(sd_engine *e, const float *r, int n, int stride) {
  SD_TRY(e->clear_status());
  SD_TRY(e->launch(kernels::first_zero_pivot, {1, 1}, {16, 16}, r, n, stride, at<int>(e->status)));
  return e->read_status();
}

/** Sums of products of bf16 numbers, which f32 holds exactly: c := alpha · aᵀ b + beta · c, a and b having k rows. */
int tensor_product(sd_engine *e, float alpha, const void *a, int a_cols, const void *b, int b_cols, int k, int terms_stride,
                   float beta, float *c, int c_stride) {
  const int result = e->blas.gemm_ex(e->handle, kN, kT, b_cols, a_cols, k, &alpha, b, kBf16, terms_stride, a, kBf16,
                                     terms_stride, &beta, c, kF32, c_stride, kCompute32F, kDefaultAlgorithm);
  return e->check_blas(result, "cublasGemmEx");
}

/** Pairs of bf16 terms, smallest products first; those left out are below the rounding of f32. */
constexpr int kPairs[][2] = {{1, 1}, {0, 2}, {2, 0}, {0, 1}, {1, 0}, {0, 0}};

}  // namespace

int32_t sd_gemm(sd_engine *e, float alpha, sd_address a, int32_t a_rows, int32_t a_cols, int32_t a_stride, int32_t trans_a,
                sd_address b, int32_t, int32_t, int32_t b_stride, int32_t trans_b, float beta, sd_address c, int32_t c_rows,
                int32_t c_cols, int32_t c_stride) {
  SD_TRY(e->enter());
  if (c_rows == 0 || c_cols == 0) return SD_OK;
  const int k = trans_a ? a_rows : a_cols;
  if (k == 0) return e->launch_over(c_rows, c_cols, kernels::scale, beta, at<float>(c), c_rows, c_cols, c_stride);
  const int result = e->blas.sgemm(e->handle, trans_b ? kT : kN, trans_a ? kT : kN, c_cols, c_rows, k, &alpha, at<float>(b),
                                   b_stride, at<float>(a), a_stride, &beta, at<float>(c), c_stride);
  return e->check_blas(result, "cublasSgemm");
}

/** On tensor cores: A is split into three bf16 terms, whose products are exact, and summed in f32 (docs/engine.md). */
int32_t sd_syrk(sd_engine *e, float alpha, sd_address a, int32_t rows, int32_t cols, int32_t stride, float beta, sd_address c,
                int32_t c_stride) {
  SD_TRY(e->enter());
  if (cols == 0) return SD_OK;
  if (rows == 0) return e->launch_over(cols, cols, kernels::scale, beta, at<float>(c), cols, cols, c_stride);
  const int terms_stride = (cols + 7) / 8 * 8;
  const long term_items = static_cast<long>(rows) * terms_stride;
  Scratch terms(e);
  SD_TRY(terms.take(3 * term_items * sizeof(unsigned short)));
  unsigned short *first = terms.at<unsigned short>();
  SD_TRY(e->launch_over(rows, cols, kernels::split_bf16, at<const float>(a), stride, rows, cols, first, terms_stride, term_items));
  for (int left = 0; left < cols; left += kPanel) {
    const int width = std::min(kPanel, cols - left);
    float keep = beta;
    for (const auto &[p, q] : kPairs) {
      SD_TRY(tensor_product(e, alpha, first + p * term_items, left + width, first + q * term_items + left, width, rows,
                            terms_stride, keep, at<float>(c) + left, c_stride));
      keep = 1;
    }
  }
  return SD_OK;
}

int32_t sd_mirror(sd_engine *e, sd_address m, int32_t n, int32_t stride) {
  SD_TRY(e->enter());
  if (n == 0) return SD_OK;
  const unsigned tiles = std::min((n + 15u) / 16, e->most_blocks(n));
  return e->launch(kernels::mirror, {tiles, std::max(1u, e->most_blocks(1L << 30) / tiles)}, {16, 16}, at<float>(m), n, stride);
}

int32_t sd_cholesky_reverse(sd_engine *e, sd_address h, int32_t n, int32_t stride) {
  SD_TRY(e->enter());
  if (n == 0) return SD_OK;
  SD_TRY(e->clear_status());
  SD_TRY(factor(e, at<float>(h), n, stride, 0));
  SD_TRY(e->launch_over(n, n, kernels::zero_lower, at<float>(h), n, stride));
  return e->read_status();
}

int32_t sd_invert_triangle(sd_engine *e, sd_address r, int32_t n, int32_t stride) {
  SD_TRY(e->enter());
  if (n == 0) return SD_OK;
  SD_TRY(require_pivots(e, at<float>(r), n, stride));
  return invert(e, at<float>(r), n, stride);
}

int32_t sd_trmm(sd_engine *e, sd_address b, int32_t rows, int32_t n, int32_t stride, sd_address r, int32_t r_stride, int32_t trans_r) {
  SD_TRY(e->enter());
  if (rows == 0 || n == 0) return SD_OK;
  const float one = 1;
  float *in_place = at<float>(b);
  const int result = e->blas.strmm(e->handle, kLeft, kLower, trans_r ? kT : kN, kNonUnit, n, rows, &one, at<float>(r), r_stride,
                                   in_place, stride, in_place, stride);
  return e->check_blas(result, "cublasStrmm");
}

int32_t sd_trsm(sd_engine *e, sd_address b, int32_t rows, int32_t n, int32_t stride, sd_address r, int32_t r_stride, int32_t trans_r) {
  SD_TRY(e->enter());
  if (n == 0) return SD_OK;
  SD_TRY(require_pivots(e, at<float>(r), n, r_stride));
  return solve_right(e, 1, at<float>(r), n, r_stride, trans_r != 0, at<float>(b), rows, stride);
}
