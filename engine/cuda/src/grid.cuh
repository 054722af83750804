// How the threads of a launch share out their work.
#ifndef SD_GRID_CUH
#define SD_GRID_CUH

#include "kernels.h"
#include "port.cuh"

#define SD_KERNEL(name) extern "C" __global__ void sd_k_##name

/** Rows i and columns j of a matrix over a grid of tiles of any size; i and j count elements of large arrays, so they are long. */
#define SD_EACH_ROW(i, rows) \
  for (long i = static_cast<long>(blockIdx.y) * blockDim.y + threadIdx.y; i < (rows); i += static_cast<long>(gridDim.y) * blockDim.y)
#define SD_EACH_COL(j, cols) \
  for (long j = static_cast<long>(blockIdx.x) * blockDim.x + threadIdx.x; j < (cols); j += static_cast<long>(gridDim.x) * blockDim.x)

/** The number of this thread in a block of SD_THREADS. */
__device__ inline int thread_number() { return static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x); }

struct Sum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Largest {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return b > a ? b : a;
  }
};

/** The `op` of the `value`s of all SD_THREADS threads, in a fixed order; each of them gets it. `work`: SD_THREADS shared numbers. */
template <class T, class Op>
__device__ inline T reduce(T value, T *work, Op op) {
  const int t = thread_number();
  work[t] = value;
  SD_BARRIER();
  for (int half = SD_THREADS / 2; half > 0; half /= 2) {
    if (t < half) work[t] = op(work[t], work[t + half]);
    SD_BARRIER();
  }
  const T result = work[0];
  SD_BARRIER();
  return result;
}

#endif
