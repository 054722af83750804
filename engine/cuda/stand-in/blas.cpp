/* libcublas.so.13 as a stand-in: the functions that our library uses, checked as cuBLAS does, as plain loops in f32. */
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "device.h"

#define API extern "C" __attribute__((visibility("default"))) int

using standin::enqueue;
using standin::on_device;
using standin::Stream;

namespace {

constexpr int kNotInitialised = 1, kInvalidValue = 7, kExecutionFailed = 13, kNotSupported = 15;
constexpr int kBf16 = 14, kF32 = 0, kCompute32F = 68;

struct Handle {
  Stream *stream = nullptr;
};

/** Queue the work of a function, as its last step. */
int queue(Handle *handle, std::function<int()> work) { return enqueue(handle->stream, std::move(work)) ? 0 : kExecutionFailed; }

/** A column-major matrix of f32 or bf16, perhaps read as its transpose. */
struct Matrix {
  const void *at;
  int type, stride;
  bool transposed;
  float operator()(long i, long j) const {
    const long place = transposed ? i * stride + j : j * stride + i;
    if (type == kF32) return static_cast<const float *>(at)[place];
    const uint32_t bits = static_cast<uint32_t>(static_cast<const uint16_t *>(at)[place]) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
};

size_t extent(int rows, int cols, int stride, int type) {
  return rows && cols ? (static_cast<size_t>(cols - 1) * stride + rows) * (type == kF32 ? 4 : 2) : 0;
}

/** Op, sizes and leading dimension as cuBLAS demands them; then the place. */
int check_matrix(const void *at, int rows, int cols, int stride, int type, int op) {
  if (op != 0 && op != 1) return kInvalidValue;
  if (op == 1) std::swap(rows, cols);
  if (rows < 0 || cols < 0 || stride < std::max(1, rows)) return kInvalidValue;
  return on_device(at, extent(rows, cols, stride, type)) ? 0 : kExecutionFailed;
}

/** c := alpha · a b + beta · c, of its lower triangle alone where asked; beta = 0 does not read c. */
void multiply(int m, int n, int k, float alpha, Matrix a, Matrix b, float beta, float *c, int c_stride, bool lower) {
  std::vector<float> packed(static_cast<size_t>(m) * k), sums(m);
  for (long l = 0; l < k; l++) {
    for (long i = 0; i < m; i++) packed[l * m + i] = a(i, l);
  }
  for (long j = 0; j < n; j++) {
    std::fill(sums.begin(), sums.end(), 0.0f);
    for (long l = 0; l < k; l++) {
      const float factor = b(l, j);
      const float *column = &packed[l * m];
      for (int i = 0; i < m; i++) sums[i] += column[i] * factor;
    }
    for (long i = lower ? j : 0; i < m; i++) {
      float &into = c[j * c_stride + i];
      into = beta == 0 ? alpha * sums[i] : alpha * sums[i] + beta * into;
    }
  }
}

int product(Handle *handle, int op_a, int op_b, int m, int n, int k, float alpha, const void *a, int lda, const void *b, int ldb,
            int type, float beta, float *c, int ldc) {
  if (!handle) return kNotInitialised;
  if (const int wrong = check_matrix(a, m, k, lda, type, op_a)) return wrong;
  if (const int wrong = check_matrix(b, k, n, ldb, type, op_b)) return wrong;
  if (const int wrong = check_matrix(c, m, n, ldc, kF32, 0)) return wrong;
  return queue(handle, [=] {
    multiply(m, n, k, alpha, {a, type, lda, op_a == 1}, {b, type, ldb, op_b == 1}, beta, c, ldc, false);
    return 0;
  });
}

/** Element (i, j) of op(A) with A lower triangular; what lies above its diagonal is never read. */
struct Triangle {
  const float *at;
  int stride;
  bool transposed;
  float operator()(long i, long j) const { return transposed ? at[i * stride + j] : at[j * stride + i]; }
};

int check_triangular(Handle *handle, int side, int uplo, int op, int diagonal, int m, int n, const float *a, int lda) {
  if (!handle) return kNotInitialised;
  if (side < 0 || side > 1 || op < 0 || op > 1 || m < 0 || n < 0) return kInvalidValue;
  if (uplo != 0 || diagonal != 0) return kNotSupported;
  const int size = side == 0 ? m : n;
  return check_matrix(a, size, size, lda, kF32, 0);
}

}  // namespace

API cublasCreate_v2(Handle **handle) {
  *handle = new Handle;
  return 0;
}

API cublasDestroy_v2(Handle *handle) {
  delete handle;
  return 0;
}

API cublasGetVersion_v2(Handle *, int *version) {
  *version = 130000;
  return 0;
}

API cublasSetStream_v2(Handle *handle, Stream *stream) {
  handle->stream = stream;
  return 0;
}

API cublasSetMathMode(Handle *, int mode) { return mode == 0 ? 0 : kNotSupported; }

API cublasSgemm_v2(Handle *handle, int op_a, int op_b, int m, int n, int k, const float *alpha, const float *a, int lda,
                   const float *b, int ldb, const float *beta, float *c, int ldc) {
  return product(handle, op_a, op_b, m, n, k, *alpha, a, lda, b, ldb, kF32, *beta, c, ldc);
}

API cublasGemmEx(Handle *handle, int op_a, int op_b, int m, int n, int k, const void *alpha, const void *a, int type_a, int lda,
                 const void *b, int type_b, int ldb, const void *beta, void *c, int type_c, int ldc, int compute, int) {
  if (type_a != kBf16 || type_b != kBf16 || type_c != kF32 || compute != kCompute32F) return kNotSupported;
  return product(handle, op_a, op_b, m, n, k, *static_cast<const float *>(alpha), a, lda, b, ldb, kBf16,
                 *static_cast<const float *>(beta), static_cast<float *>(c), ldc);
}

API cublasSsyrk_v2(Handle *handle, int uplo, int op, int n, int k, const float *alpha, const float *a, int lda, const float *beta,
                   float *c, int ldc) {
  if (!handle) return kNotInitialised;
  if (uplo != 0) return kNotSupported;
  if (const int wrong = check_matrix(a, n, k, lda, kF32, op)) return wrong;
  if (const int wrong = check_matrix(c, n, n, ldc, kF32, 0)) return wrong;
  return queue(handle, [=, alpha = *alpha, beta = *beta] {
    multiply(n, n, k, alpha, {a, kF32, lda, op == 1}, {a, kF32, lda, op == 0}, beta, c, ldc, true);
    return 0;
  });
}

/** Left: B := alpha · op(A)⁻¹ B; right: B := alpha · B op(A)⁻¹. */
API cublasStrsm_v2(Handle *handle, int side, int uplo, int op, int diagonal, int m, int n, const float *alpha, const float *a,
                   int lda, float *b, int ldb) {
  if (const int wrong = check_triangular(handle, side, uplo, op, diagonal, m, n, a, lda)) return wrong;
  if (const int wrong = check_matrix(b, m, n, ldb, kF32, 0)) return wrong;
  return queue(handle, [=, alpha = *alpha] {
    const Triangle t{a, lda, op == 1};
    for (long j = 0; j < n; j++) {
      for (long i = 0; i < m; i++) b[j * ldb + i] *= alpha;
    }
    // The first unknown is the one that no other is needed for: the last where op(A) is upper triangular from this side.
    const long size = side == 0 ? m : n;
    const bool backwards = (side == 0) == (op == 1);
    for (long step = 0; step < size; step++) {
      const long p = backwards ? size - 1 - step : step;
      for (long other = 0; other < (side == 0 ? n : m); other++) {
        const auto x = [&](long l) -> float & { return side == 0 ? b[other * ldb + l] : b[l * ldb + other]; };
        float rest = x(p);
        for (long l = backwards ? p + 1 : 0; l < (backwards ? size : p); l++) rest -= x(l) * (side == 0 ? t(p, l) : t(l, p));
        x(p) = rest / t(p, p);
      }
    }
    return 0;
  });
}

/** Left alone: C := alpha · op(A) B, where C may be B. */
API cublasStrmm_v2(Handle *handle, int side, int uplo, int op, int diagonal, int m, int n, const float *alpha, const float *a,
                   int lda, const float *b, int ldb, float *c, int ldc) {
  if (side != 0) return kNotSupported;
  if (const int wrong = check_triangular(handle, side, uplo, op, diagonal, m, n, a, lda)) return wrong;
  if (const int wrong = check_matrix(b, m, n, ldb, kF32, 0)) return wrong;
  if (const int wrong = check_matrix(c, m, n, ldc, kF32, 0)) return wrong;
  return queue(handle, [=, alpha = *alpha] {
    const Triangle t{a, lda, op == 1};
    std::vector<float> column(m);
    for (long j = 0; j < n; j++) {
      for (long i = 0; i < m; i++) {
        float sum = 0;
        for (long l = op == 1 ? i : 0; l < (op == 1 ? m : i + 1); l++) sum += t(i, l) * b[j * ldb + l];
        column[i] = alpha * sum;
      }
      std::copy(column.begin(), column.end(), c + j * ldc);
    }
    return 0;
  });
}
