// Operations on single elements, rows and indices.
#ifndef SD_ELEMENTWISE_CUH
#define SD_ELEMENTWISE_CUH

#include "grid.cuh"
#include "halves.cuh"

/** m := value. */
SD_KERNEL(fill)(void *m, int dtype, int rows, int cols, int stride, float value) {
  SD_EACH_ROW(i, rows) SD_EACH_COL(j, cols) store(m, dtype, i * stride + j, value);
}

/** dst := src, each in its own storage type. Same type: bit for bit, which `move_items` does. */
SD_KERNEL(convert)(const void *src, int src_dtype, int src_stride, void *dst, int dst_dtype, int dst_stride, int rows, int cols) {
  SD_EACH_ROW(i, rows) SD_EACH_COL(j, cols) {
    store(dst, dst_dtype, i * dst_stride + j, load(src, src_dtype, i * src_stride + j));
  }
}

__device__ inline long index_of(const int *list, long at) { return list ? list[at] : at; }

/** dst[dst_rows[i]][dst_cols[j]] := src[src_rows[i]][src_cols[j]], in items of 2 or 4 bytes; a null list is every index in order. */
SD_KERNEL(move_items)(int item_bytes, const void *src, long src_stride, const int *src_rows, const int *src_cols, void *dst,
                      long dst_stride, const int *dst_rows, const int *dst_cols, int n_rows, int n_cols) {
  SD_EACH_ROW(i, n_rows) SD_EACH_COL(j, n_cols) {
    const long from = index_of(src_rows, i) * src_stride + index_of(src_cols, j);
    const long into = index_of(dst_rows, i) * dst_stride + index_of(dst_cols, j);
    if (item_bytes == 4) static_cast<unsigned *>(dst)[into] = static_cast<const unsigned *>(src)[from];
    else static_cast<unsigned short *>(dst)[into] = static_cast<const unsigned short *>(src)[from];
  }
}

/** m := factor · m; a factor of 0 ignores what m held. */
SD_KERNEL(scale)(float factor, float *m, int rows, int cols, int stride) {
  SD_EACH_ROW(i, rows) SD_EACH_COL(j, cols) m[i * stride + j] = factor == 0 ? 0 : factor * m[i * stride + j];
}

/**
 * src = t₀ + t₁ + t₂ in bf16 terms (8 bits each: all 24 of an f32, so the sum is exact short of underflow). Term t lies at
 * terms + t · term_items.
 */
SD_KERNEL(split_bf16)(const float *src, int stride, int rows, int cols, unsigned short *terms, int terms_stride, long term_items) {
  SD_EACH_ROW(i, rows) SD_EACH_COL(j, cols) {
    float rest = src[i * stride + j];
    for (int term = 0; term < 3; term++) {
      const unsigned short bits = f32_to_bf16(rest);
      terms[term * term_items + i * terms_stride + j] = bits;
      rest -= bf16_to_f32(bits);
    }
  }
}

/** c := alpha · a + c. */
SD_KERNEL(add)(float alpha, const float *a, int a_stride, float *c, int c_stride, int rows, int cols) {
  SD_EACH_ROW(i, rows) SD_EACH_COL(j, cols) c[i * c_stride + j] += alpha * a[i * a_stride + j];
}

/** Column j of m := factors[j] · column j. */
SD_KERNEL(scale_cols)(float *m, int rows, int cols, int stride, const float *factors) {
  SD_EACH_ROW(i, rows) SD_EACH_COL(j, cols) m[i * stride + j] *= factors[j];
}

/** sums[p][j] := Σ m[i][j]² over the `rows_each` rows of part p. */
SD_KERNEL(column_squares)(const float *m, int rows, int cols, int stride, int rows_each, double *sums) {
  SD_EACH_ROW(part, (rows + rows_each - 1) / rows_each) SD_EACH_COL(j, cols) {
    const long first = part * rows_each, end = first + rows_each < rows ? first + rows_each : rows;
    double sum = 0;
    for (long i = first; i < end; i++) sum += static_cast<double>(m[i * stride + j]) * m[i * stride + j];
    sums[part * cols + j] = sum;
  }
}

/** x[i][j] += bias[j]. */
SD_KERNEL(add_bias)(float *x, int rows, int cols, int stride, const float *bias) {
  SD_EACH_ROW(i, rows) SD_EACH_COL(j, cols) x[i * stride + j] += bias[j];
}

#endif
