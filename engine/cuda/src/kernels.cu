// All kernels of the CUDA engine. `bun run build:ptx` compiles them to kernels.ptx; the stand-in driver compiles them for the CPU.
#include "kernels.h"
#include "port.cuh"

#define SD_DECLARE(name, parameters) extern "C" __global__ void sd_k_##name parameters;
SD_KERNELS(SD_DECLARE)

#include "eigen.cuh"
#include "elementwise.cuh"
#include "factor.cuh"
#include "model.cuh"
#include "training.cuh"
