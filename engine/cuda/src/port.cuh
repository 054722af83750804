// What kernels use of CUDA, and nothing else: here from nvcc, in the stand-in driver from stand-in/threads.h.
#ifndef SD_PORT_CUH
#define SD_PORT_CUH

#ifdef __CUDACC__
#define SD_BARRIER() __syncthreads()
/** `name`: `count` numbers that the threads of a block share. */
#define SD_SHARED(T, name, count) __shared__ T name[count]
#else
#include "../stand-in/threads.h"
#endif

#endif
