/* The threads of a block as fibers on the CPU: what port.cuh gives to kernels where there is no nvcc. */
#ifndef SD_STANDIN_THREADS_H
#define SD_STANDIN_THREADS_H

#include <cmath>
#include <cstddef>
#include <functional>
#include <string>

#define __global__
#define __device__

namespace standin {

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
};

/** Wait for all threads of the block. Threads that have left, or wait at another place, are an error of the launch. */
void barrier(const char *file, int line);
/** Memory of the block, the same for all its threads at one place of the source; NaN at first. */
void *shared(int place, size_t bytes);
/** Run `body` for each thread of each block. @returns what went wrong, or an empty text */
std::string run_grid(Dim3 grid, Dim3 block, const std::function<void()> &body);

}  // namespace standin

extern standin::Dim3 threadIdx, blockIdx, blockDim, gridDim;

#define SD_BARRIER() standin::barrier(__FILE__, __LINE__)
#define SD_SHARED(T, name, count) T *name = static_cast<T *>(standin::shared(__LINE__, sizeof(T) * (count)))

#endif
