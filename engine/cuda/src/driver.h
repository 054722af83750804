/*
 * The parts of the CUDA driver API and of cuBLAS that we use, opened at run time, so that this library loads on any machine.
 * Prototypes are our own (test/cuda compares them with NVIDIA's headers); handles are plain pointers, enumerations plain int.
 */
#ifndef SD_DRIVER_H
#define SD_DRIVER_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace sd {

using Device = int;
using Context = struct ContextType *;
using Module = struct ModuleType *;
using Function = struct FunctionType *;
using Stream = struct StreamType *;
using Event = struct EventType *;
using BlasHandle = struct BlasHandleType *;
using DeviceAddress = unsigned long long;

/* name in the library, our name, parameters; all return an int, 0 for success. */
#define SD_DRIVER_FUNCTIONS(F)                                                                                          \
  F(cuInit, init, (unsigned flags))                                                                                     \
  F(cuDriverGetVersion, driver_version, (int *version))                                                                 \
  F(cuGetErrorString, error_string, (int error, const char **text))                                                     \
  F(cuDeviceGetCount, device_count, (int *count))                                                                       \
  F(cuDeviceGet, device_get, (Device *device, int ordinal))                                                             \
  F(cuDeviceGetName, device_name, (char *name, int capacity, Device device))                                            \
  F(cuDeviceGetAttribute, device_attribute, (int *value, int attribute, Device device))                                 \
  F(cuDevicePrimaryCtxRetain, context_retain, (Context *context, Device device))                                        \
  F(cuDevicePrimaryCtxRelease_v2, context_release, (Device device))                                                     \
  F(cuCtxSetCurrent, context_set, (Context context))                                                                    \
  F(cuMemGetInfo_v2, memory_info, (size_t * free, size_t *total))                                                       \
  F(cuMemAlloc_v2, memory_alloc, (DeviceAddress * address, size_t bytes))                                               \
  F(cuMemFree_v2, memory_free, (DeviceAddress address))                                                                 \
  F(cuMemHostAlloc, host_alloc, (void **address, size_t bytes, unsigned flags))                                         \
  F(cuMemFreeHost, host_free, (void *address))                                                                          \
  F(cuMemsetD8Async, memory_set, (DeviceAddress address, unsigned char value, size_t bytes, Stream stream))             \
  F(cuMemcpyHtoDAsync_v2, copy_in, (DeviceAddress to, const void *from, size_t bytes, Stream stream))                   \
  F(cuMemcpyDtoHAsync_v2, copy_out, (void *to, DeviceAddress from, size_t bytes, Stream stream))                        \
  F(cuStreamCreate, stream_create, (Stream * stream, unsigned flags))                                                   \
  F(cuStreamDestroy_v2, stream_destroy, (Stream stream))                                                                \
  F(cuStreamSynchronize, stream_synchronize, (Stream stream))                                                           \
  F(cuStreamWaitEvent, stream_wait, (Stream stream, Event event, unsigned flags))                                       \
  F(cuEventCreate, event_create, (Event * event, unsigned flags))                                                       \
  F(cuEventDestroy_v2, event_destroy, (Event event))                                                                    \
  F(cuEventRecord, event_record, (Event event, Stream stream))                                                          \
  F(cuEventSynchronize, event_synchronize, (Event event))                                                               \
  F(cuModuleLoadDataEx, module_load, (Module * module, const void *image, unsigned n, int *options, void **values))     \
  F(cuModuleUnload, module_unload, (Module module))                                                                     \
  F(cuModuleGetFunction, module_function, (Function * function, Module module, const char *name))                       \
  F(cuLaunchKernel, launch, (Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,    \
                             unsigned block_y, unsigned block_z, unsigned shared_bytes, Stream stream,                  \
                             void **parameters, void **extra))

#define SD_BLAS_FUNCTIONS(F)                                                                                            \
  F(cublasCreate_v2, create, (BlasHandle * handle))                                                                     \
  F(cublasDestroy_v2, destroy, (BlasHandle handle))                                                                     \
  F(cublasGetVersion_v2, version, (BlasHandle handle, int *version))                                                    \
  F(cublasSetStream_v2, set_stream, (BlasHandle handle, Stream stream))                                                 \
  F(cublasSetMathMode, set_math_mode, (BlasHandle handle, int mode))                                                    \
  F(cublasSgemm_v2, sgemm, (BlasHandle handle, int op_a, int op_b, int m, int n, int k, const float *alpha,             \
                            const float *a, int lda, const float *b, int ldb, const float *beta, float *c, int ldc))    \
  F(cublasGemmEx, gemm_ex, (BlasHandle handle, int op_a, int op_b, int m, int n, int k, const void *alpha,              \
                            const void *a, int type_a, int lda, const void *b, int type_b, int ldb, const void *beta,   \
                            void *c, int type_c, int ldc, int compute_type, int algorithm))                             \
  F(cublasSsyrk_v2, ssyrk, (BlasHandle handle, int uplo, int op, int n, int k, const float *alpha, const float *a,      \
                            int lda, const float *beta, float *c, int ldc))                                             \
  F(cublasStrsm_v2, strsm, (BlasHandle handle, int side, int uplo, int op, int diagonal, int m, int n,                  \
                            const float *alpha, const float *a, int lda, float *b, int ldb))                            \
  F(cublasStrmm_v2, strmm, (BlasHandle handle, int side, int uplo, int op, int diagonal, int m, int n,                  \
                            const float *alpha, const float *a, int lda, const float *b, int ldb, float *c, int ldc))

#define SD_POINTER(name, ours, parameters) int(*ours) parameters = nullptr;
struct Driver {
  SD_DRIVER_FUNCTIONS(SD_POINTER)
};
struct Blas {
  SD_BLAS_FUNCTIONS(SD_POINTER)
};
#undef SD_POINTER

/* CUresult, CUdevice_attribute, CUstream_flags, CUevent_flags */
constexpr int kOutOfMemory = 2, kMajor = 75, kMinor = 76, kMultiprocessors = 16;
constexpr unsigned kNonBlocking = 1, kDisableTiming = 2;
/* CUjit_option */
constexpr int kErrorLog = 5, kErrorLogBytes = 6;
/* cublasStatus_t, cublasOperation_t, cublasFillMode_t, cublasSideMode_t, cublasDiagType_t, cublasMath_t */
constexpr int kAllocFailed = 3, kN = 0, kT = 1, kLower = 0, kLeft = 0, kRight = 1, kNonUnit = 0, kDefaultMath = 0;
/* cudaDataType, cublasComputeType_t, cublasGemmAlgo_t */
constexpr int kBf16 = 14, kF32 = 0, kCompute32F = 68, kDefaultAlgorithm = -1;
/* Version of the first driver that runs CUDA 13 libraries. */
constexpr int kDriver13 = 13000;

/**
 * Open libcuda.so.1 from one of `folders` (one a line, where it need not be; null: none) or from the loader's path, and all its functions.
 * Empty, or what is missing.
 */
std::string open_driver(const char *folders, Driver &driver);

/** The same for cuBLAS, the newest that a driver of this version runs: `found` gets the file's name. */
std::string open_blas(const char *folders, int driver_version, Blas &blas, std::string &found);

}  // namespace sd

#endif
