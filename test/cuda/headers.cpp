/* Our own prototypes and numbers against NVIDIA's headers; compiled, never run. */
#include <cublas_v2.h>
#include <cuda.h>

#include <type_traits>

#include "../../engine/cuda/src/driver.h"

namespace {

/** The same to a caller: pointers and handles of one size, integers of one size, floating numbers of one size. */
template <class A, class B>
constexpr bool same_argument = sizeof(A) == sizeof(B) && std::is_floating_point_v<A> == std::is_floating_point_v<B>;

template <class Ours, class Theirs>
struct SameCall : std::false_type {};
template <class R, class... A, class S, class... B>
  requires(sizeof...(A) == sizeof...(B))
struct SameCall<R (*)(A...), S (*)(B...)> : std::bool_constant<sizeof(R) == sizeof(S) && (same_argument<A, B> && ...)> {};

#define SD_CHECK_DRIVER(name, ours, parameters) \
  static_assert(SameCall<decltype(sd::Driver::ours), decltype(&name)>::value, #name " has other parameters");
SD_DRIVER_FUNCTIONS(SD_CHECK_DRIVER)

/* cublasGemmEx is overloaded in C++: its type is written out. */
using GemmEx = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int, const void *, const void *,
                                  cudaDataType, int, const void *, cudaDataType, int, const void *, void *, cudaDataType, int,
                                  cublasComputeType_t, cublasGemmAlgo_t);
[[maybe_unused]] constexpr GemmEx exists = &cublasGemmEx;
#define SD_CHECK_BLAS(ours, name) \
  static_assert(SameCall<decltype(sd::Blas::ours), decltype(&name)>::value, #name " has other parameters");
SD_CHECK_BLAS(create, cublasCreate_v2)
SD_CHECK_BLAS(destroy, cublasDestroy_v2)
SD_CHECK_BLAS(version, cublasGetVersion_v2)
SD_CHECK_BLAS(set_stream, cublasSetStream_v2)
SD_CHECK_BLAS(set_math_mode, cublasSetMathMode)
SD_CHECK_BLAS(sgemm, cublasSgemm_v2)
SD_CHECK_BLAS(ssyrk, cublasSsyrk_v2)
SD_CHECK_BLAS(strsm, cublasStrsm_v2)
SD_CHECK_BLAS(strmm, cublasStrmm_v2)
static_assert(SameCall<decltype(sd::Blas::gemm_ex), GemmEx>::value, "cublasGemmEx has other parameters");

static_assert(sd::kOutOfMemory == CUDA_ERROR_OUT_OF_MEMORY);
static_assert(sd::kMajor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
static_assert(sd::kMinor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
static_assert(sd::kMultiprocessors == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
static_assert(sd::kNonBlocking == CU_STREAM_NON_BLOCKING && sd::kDisableTiming == CU_EVENT_DISABLE_TIMING);
static_assert(sd::kErrorLog == CU_JIT_ERROR_LOG_BUFFER && sd::kErrorLogBytes == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
static_assert(sd::kAllocFailed == CUBLAS_STATUS_ALLOC_FAILED);
static_assert(sd::kN == CUBLAS_OP_N && sd::kT == CUBLAS_OP_T && sd::kLower == CUBLAS_FILL_MODE_LOWER);
static_assert(sd::kLeft == CUBLAS_SIDE_LEFT && sd::kRight == CUBLAS_SIDE_RIGHT && sd::kNonUnit == CUBLAS_DIAG_NON_UNIT);
static_assert(sd::kDefaultMath == CUBLAS_DEFAULT_MATH && sd::kBf16 == CUDA_R_16BF && sd::kF32 == CUDA_R_32F);
static_assert(sd::kCompute32F == CUBLAS_COMPUTE_32F && sd::kDefaultAlgorithm == CUBLAS_GEMM_DEFAULT);

}  // namespace
