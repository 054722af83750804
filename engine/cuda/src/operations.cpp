/* Memory, element-wise operations and those of a transformer layer. */
#include <vector>

#include "engine.h"

using namespace sd;

namespace {

/** Row and column indices in engine memory; null is every index in order. */
class Lists {
 public:
  explicit Lists(sd_engine *e) : engine(e), row_memory(e), col_memory(e) {}
  int upload(const int32_t *row_list, int32_t n_rows, const int32_t *col_list, int32_t n_cols) {
    SD_TRY(engine->enter());
    SD_TRY(upload_one(row_memory, row_list, n_rows, rows));
    return upload_one(col_memory, col_list, n_cols, cols);
  }
  const int *rows = nullptr, *cols = nullptr;

 private:
  static int upload_one(Scratch &memory, const int32_t *list, int32_t n, const int *&uploaded) {
    if (!list || n == 0) return SD_OK;
    SD_TRY(memory.upload(list, static_cast<size_t>(n)));
    uploaded = memory.at<const int>();
    return SD_OK;
  }
  sd_engine *engine;
  Scratch row_memory, col_memory;
};

/** Rows of a matrix whose squares one thread sums: few enough that all threads have work, in an order that no device changes. */
constexpr int kRowsEach = 256;

}  // namespace

int32_t sd_alloc(sd_engine *e, uint64_t bytes, sd_address *address) {
  SD_TRY(e->enter());
  const size_t size = bytes ? bytes : 1;
  DeviceAddress taken = 0;
  SD_TRY(e->take(size, taken));
  *address = taken;
  return e->check(e->driver.memory_set(taken, 0, size, e->compute), "cuMemsetD8Async");
}

int32_t sd_free(sd_engine *e, sd_address address, uint64_t bytes) {
  e->give_back(address, bytes ? bytes : 1);
  return SD_OK;
}

int32_t sd_write(sd_engine *e, sd_address to, uint64_t pitch_bytes, const void *from, uint64_t row_bytes, int32_t rows) {
  SD_TRY(e->enter());
  return e->write(to, pitch_bytes, from, row_bytes, static_cast<size_t>(rows));
}

int32_t sd_read(sd_engine *e, sd_address from, uint64_t pitch_bytes, void *to, uint64_t row_bytes, int32_t rows) {
  SD_TRY(e->enter());
  return e->read(from, pitch_bytes, to, row_bytes, static_cast<size_t>(rows));
}

int32_t sd_convert(sd_engine *e, sd_address src, int32_t src_dtype, int32_t src_stride, sd_address dst, int32_t dst_dtype,
                   int32_t dst_stride, int32_t rows, int32_t cols) {
  if (src_dtype == dst_dtype) {
    return sd_gather(e, src_dtype == SD_F32 ? 4 : 2, src, src_stride, nullptr, nullptr, dst, dst_stride, rows, cols);
  }
  SD_TRY(e->enter());
  return e->launch_over(rows, cols, kernels::convert, at<const void>(src), src_dtype, src_stride, at<void>(dst), dst_dtype,
                        dst_stride, rows, cols);
}

int32_t sd_fill(sd_engine *e, sd_address m, int32_t dtype, int32_t rows, int32_t cols, int32_t stride, float value) {
  SD_TRY(e->enter());
  return e->launch_over(rows, cols, kernels::fill, at<void>(m), dtype, rows, cols, stride, value);
}

int32_t sd_add(sd_engine *e, float alpha, sd_address a, int32_t a_stride, sd_address c, int32_t c_stride, int32_t rows, int32_t cols) {
  SD_TRY(e->enter());
  return e->launch_over(rows, cols, kernels::add, alpha, at<const float>(a), a_stride, at<float>(c), c_stride, rows, cols);
}

int32_t sd_scale_cols(sd_engine *e, sd_address m, int32_t rows, int32_t cols, int32_t stride, const float *factors) {
  SD_TRY(e->enter());
  if (rows == 0 || cols == 0) return SD_OK;
  Scratch list(e);
  SD_TRY(list.upload(factors, static_cast<size_t>(cols)));
  return e->launch_over(rows, cols, kernels::scale_cols, at<float>(m), rows, cols, stride, list.at<const float>());
}

int32_t sd_column_squares(sd_engine *e, sd_address m, int32_t rows, int32_t cols, int32_t stride, double *sums) {
  SD_TRY(e->enter());
  for (int j = 0; j < cols; j++) sums[j] = 0;
  if (rows == 0 || cols == 0) return SD_OK;
  const int parts = (rows + kRowsEach - 1) / kRowsEach;
  const size_t row_bytes = static_cast<size_t>(cols) * sizeof(double);
  Scratch scratch(e);
  SD_TRY(scratch.take(parts * row_bytes));
  SD_TRY(e->launch_over(parts, cols, kernels::column_squares, at<const float>(m), rows, cols, stride, kRowsEach, scratch.at<double>()));
  std::vector<double> row(static_cast<size_t>(parts) * cols);
  SD_TRY(e->read(reinterpret_cast<DeviceAddress>(scratch.at<double>()), row_bytes, row.data(), row_bytes, parts));
  for (int part = 0; part < parts; part++) {
    for (int j = 0; j < cols; j++) sums[j] += row[static_cast<size_t>(part) * cols + j];
  }
  return SD_OK;
}

int32_t sd_gather(sd_engine *e, int32_t item_bytes, sd_address src, int32_t src_stride, const int32_t *rows, const int32_t *cols,
                  sd_address dst, int32_t dst_stride, int32_t n_rows, int32_t n_cols) {
  Lists lists(e);
  SD_TRY(lists.upload(rows, n_rows, cols, n_cols));
  return e->launch_over(n_rows, n_cols, kernels::move_items, item_bytes, at<const void>(src), src_stride, lists.rows, lists.cols,
                        at<void>(dst), dst_stride, nullptr, nullptr, n_rows, n_cols);
}

int32_t sd_scatter(sd_engine *e, int32_t item_bytes, sd_address src, int32_t src_stride, const int32_t *rows, const int32_t *cols,
                   sd_address dst, int32_t dst_stride, int32_t n_rows, int32_t n_cols) {
  Lists lists(e);
  SD_TRY(lists.upload(rows, n_rows, cols, n_cols));
  return e->launch_over(n_rows, n_cols, kernels::move_items, item_bytes, at<const void>(src), src_stride, nullptr, nullptr,
                        at<void>(dst), dst_stride, lists.rows, lists.cols, n_rows, n_cols);
}

int32_t sd_rms_norm(sd_engine *e, sd_address x, int32_t x_stride, sd_address weight, float eps, float offset, sd_address out,
                    int32_t out_stride, int32_t rows, int32_t cols) {
  SD_TRY(e->enter());
  return e->launch_tasks(rows, kernels::rms_norm, at<const float>(x), x_stride, at<const float>(weight), eps, offset,
                         at<float>(out), out_stride, rows, cols);
}

int32_t sd_add_bias(sd_engine *e, sd_address x, int32_t rows, int32_t cols, int32_t stride, sd_address bias) {
  SD_TRY(e->enter());
  return e->launch_over(rows, cols, kernels::add_bias, at<float>(x), rows, cols, stride, at<const float>(bias));
}

int32_t sd_rotary(sd_engine *e, sd_address x, int32_t rows, int32_t cols, int32_t x_stride, sd_address cos, int32_t cos_stride,
                  sd_address sin, int32_t sin_stride, int32_t head_dim) {
  SD_TRY(e->enter());
  return e->launch_over(rows, cols / 2, kernels::rotary, at<float>(x), rows, cols, x_stride, at<const float>(cos), cos_stride,
                        at<const float>(sin), sin_stride, head_dim);
}

int32_t sd_attention(sd_engine *e, sd_address q, int32_t q_stride, int32_t n, sd_address k, int32_t k_stride, sd_address v,
                     int32_t v_stride, int32_t total, int32_t n_heads, int32_t n_kv_heads, int32_t head_dim, float scale,
                     sd_address out, int32_t out_stride) {
  SD_TRY(e->enter());
  if (head_dim > SD_THREADS * SD_DIMS_EACH) {
    return fail(SD_FAILED, "heads of " + std::to_string(head_dim) + " numbers, at most " + std::to_string(SD_THREADS * SD_DIMS_EACH));
  }
  return e->launch_tasks(static_cast<long>(n) * n_heads, kernels::attention, at<const float>(q), q_stride, n, at<const float>(k),
                         k_stride, at<const float>(v), v_stride, total, n_heads, n_kv_heads, head_dim, scale, at<float>(out),
                         out_stride);
}

int32_t sd_gated(sd_engine *e, int32_t kind, sd_address gate, int32_t gate_stride, sd_address up, int32_t up_stride, int32_t rows,
                 int32_t cols) {
  SD_TRY(e->enter());
  return e->launch_over(rows, cols, kernels::gated, kind, at<float>(gate), gate_stride, at<const float>(up), up_stride, rows, cols);
}
