// Triangles: their halves and their small diagonal blocks.
#ifndef SD_FACTOR_CUH
#define SD_FACTOR_CUH

#include "grid.cuh"

/** Side of the tiles that are transposed together: their threads are SD_THREADS. */
#define SD_TILE 16

/** Lower triangle of m := transposed upper triangle; a tile is read row by row and written row by row. */
SD_KERNEL(mirror)(float *m, int n, int stride) {
  SD_SHARED(float, tile, SD_TILE * (SD_TILE + 1));
  const int x = threadIdx.x, y = threadIdx.y, n_tiles = (n + SD_TILE - 1) / SD_TILE;
  for (long top = blockIdx.y; top < n_tiles; top += gridDim.y) {
    for (long left = top + blockIdx.x; left < n_tiles; left += gridDim.x) {
      const long i = top * SD_TILE + y, j = left * SD_TILE + x;
      if (i < n && j < n) tile[y * (SD_TILE + 1) + x] = m[i * stride + j];
      SD_BARRIER();
      const long lower = left * SD_TILE + y, right = top * SD_TILE + x;
      if (lower < n && right < lower) m[lower * stride + right] = tile[x * (SD_TILE + 1) + y];
      SD_BARRIER();
    }
  }
}

/** What lies below the diagonal of m := 0. */
SD_KERNEL(zero_lower)(float *m, int n, int stride) {
  SD_EACH_ROW(i, n) SD_EACH_COL(j, i) m[i * stride + j] = 0;
}

/** *status := 1 + the first i with r(i, i) = 0, if there is one. One block. */
SD_KERNEL(first_zero_pivot)(const float *r, int n, int stride, int *status) {
  SD_SHARED(int, first, SD_THREADS);
  const int t = thread_number();
  first[t] = n;
  for (long i = n - 1 - t; i >= 0; i -= SD_THREADS) {
    if (r[i * stride + i] == 0) first[t] = static_cast<int>(i);
  }
  SD_BARRIER();
  if (t != 0) return;
  int least = n;
  for (int other = 0; other < SD_THREADS; other++) least = first[other] < least ? first[other] : least;
  if (least < n) *status = least + 1;
}

__device__ inline float &cell(float *tile, int i, int j) { return tile[i * (SD_BLOCK + 1) + j]; }

/** tile := the upper triangle of m (n <= SD_BLOCK). */
__device__ inline void load_upper(float *tile, const float *m, int n, int stride) {
  for (int i = threadIdx.y; i < n; i += blockDim.y) {
    for (int j = threadIdx.x; j < n; j += blockDim.x) {
      if (j >= i) cell(tile, i, j) = m[static_cast<long>(i) * stride + j];
    }
  }
  SD_BARRIER();
}

__device__ inline void store_upper(const float *tile, float *m, int n, int stride) {
  for (int i = threadIdx.y; i < n; i += blockDim.y) {
    for (int j = threadIdx.x; j < n; j += blockDim.x) {
      if (j >= i) m[static_cast<long>(i) * stride + j] = tile[i * (SD_BLOCK + 1) + j];
    }
  }
}

/**
 * Upper triangle of h (n <= SD_BLOCK) := R with H = R Rᵀ, columns from the last. A bad pivot in row p of this block gives
 * *status := first_row + p + 1; a status that is set already stops all that follows. One block.
 */
SD_KERNEL(cholesky_block)(float *h, int n, int stride, int first_row, int *status) {
  SD_SHARED(float, tile, SD_BLOCK * (SD_BLOCK + 1));
  if (*status != 0) return;
  load_upper(tile, h, n, stride);
  for (int j = n - 1; j >= 0; j--) {
    const float pivot = cell(tile, j, j);
    if (!(pivot > 0)) {
      if (thread_number() == 0) *status = first_row + j + 1;
      return;
    }
    const float root = sqrtf(pivot);
    SD_BARRIER();
    for (int i = thread_number(); i <= j; i += SD_THREADS) cell(tile, i, j) = i == j ? root : cell(tile, i, j) / root;
    SD_BARRIER();
    for (int i = threadIdx.y; i < j; i += blockDim.y) {
      for (int c = threadIdx.x; c < j; c += blockDim.x) {
        if (c >= i) cell(tile, i, c) -= cell(tile, i, j) * cell(tile, c, j);
      }
    }
    SD_BARRIER();
  }
  store_upper(tile, h, n, stride);
}

/** r := r⁻¹ for an upper triangle of n <= SD_BLOCK, a column for each thread: R X = I by back substitution. One block. */
SD_KERNEL(invert_block)(float *r, int n, int stride) {
  SD_SHARED(float, tile, SD_BLOCK * (SD_BLOCK + 1));
  SD_SHARED(float, inverse, SD_BLOCK * (SD_BLOCK + 1));
  load_upper(tile, r, n, stride);
  for (int j = thread_number(); j < n; j += SD_THREADS) {
    cell(inverse, j, j) = 1 / cell(tile, j, j);
    for (int i = j - 1; i >= 0; i--) {
      float sum = 0;
      for (int k = i + 1; k <= j; k++) sum += cell(tile, i, k) * cell(inverse, k, j);
      cell(inverse, i, j) = -sum / cell(tile, i, i);
    }
  }
  SD_BARRIER();
  store_upper(inverse, r, n, stride);
}

#endif
