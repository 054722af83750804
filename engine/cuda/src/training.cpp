/* Losses, gradients and the optimiser. */
#include <algorithm>
#include <numeric>
#include <vector>

#include "engine.h"

using namespace sd;

namespace {

/** Rows of a matrix that one thread sums: few enough that all threads have work, in an order that no device changes. */
constexpr int kRowsEach = 64;
/** Queries whose probabilities are held at once. */
constexpr int kQueries = 256;

sd_address of(const float *address) { return reinterpret_cast<sd_address>(address); }

/** One head of a matrix of heads: row 0. */
struct Head {
  float *at;
  int stride;
  float *row(long i) const { return at + i * stride; }
};

/** What one query head has, gave and gets. */
struct Heads {
  Head q, k, v, out, d_out, d_q, d_k, d_v;
};

/** Sizes that all heads have. */
struct Shape {
  int n, head_dim;
  float scale;
};

/** Queries first … first + rows − 1 of one head, which see first + rows keys. `d_k` and `d_v` are kept where `begun`. */
int backward_queries(sd_engine *e, const Heads &h, const Shape &shape, int first, int rows, bool begun, float *p, float *d_s) {
  const int seen = first + rows, width = shape.head_dim;
  const sd_address q = of(h.q.row(first)), d_out = of(h.d_out.row(first)), scores = of(p), slopes = of(d_s);
  const float keep = begun ? 1 : 0;
  SD_TRY(sd_gemm(e, shape.scale, q, rows, width, h.q.stride, 0, of(h.k.at), seen, width, h.k.stride, 1, 0, scores, rows, seen, seen));
  SD_TRY(sd_gemm(e, 1, d_out, rows, width, h.d_out.stride, 0, of(h.v.at), seen, width, h.v.stride, 1, 0, slopes, rows, seen, seen));
  SD_TRY(e->launch_tasks(rows, kernels::score_slopes, p, d_s, rows, seen, h.out.row(first), h.out.stride, h.d_out.row(first),
                         h.d_out.stride, width, shape.scale));
  SD_TRY(sd_gemm(e, 1, scores, rows, seen, seen, 1, d_out, rows, width, h.d_out.stride, 0, keep, of(h.d_v.at), seen, width, h.d_v.stride));
  SD_TRY(sd_gemm(e, 1, slopes, rows, seen, seen, 0, of(h.k.at), seen, width, h.k.stride, 0, 0, of(h.d_q.row(first)), rows, width,
                 h.d_q.stride));
  return sd_gemm(e, 1, slopes, rows, seen, seen, 1, q, rows, width, h.q.stride, 0, keep, of(h.d_k.at), seen, width, h.d_k.stride);
}

/** Rows of src by the row of dst that they are added to, each in ascending order. */
struct Additions {
  std::vector<int> order, starts, targets;
  Additions(const int32_t *rows, int32_t n) : order(static_cast<size_t>(n)) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [rows](int a, int b) { return rows[a] < rows[b]; });
    for (int at = 0; at < n; at++) {
      if (at > 0 && rows[order[at]] == targets.back()) continue;
      starts.push_back(at);
      targets.push_back(rows[order[at]]);
    }
    starts.push_back(n);
  }
};

}  // namespace

int32_t sd_softmax_cross_entropy(sd_engine *e, sd_address logits, int32_t logits_stride, const int32_t *targets, sd_address out,
                                 int32_t out_stride, int32_t rows, int32_t cols, double *loss) {
  SD_TRY(e->enter());
  *loss = 0;
  if (rows == 0) return SD_OK;
  std::vector<double> losses(static_cast<size_t>(rows));
  const size_t bytes = losses.size() * sizeof(double);
  Scratch list(e), sums(e);
  SD_TRY(list.upload(targets, losses.size()));
  SD_TRY(sums.take(bytes));
  SD_TRY(e->launch_tasks(rows, kernels::cross_entropy, at<const float>(logits), logits_stride, list.at<const int>(), at<float>(out),
                         out_stride, rows, cols, sums.at<double>()));
  SD_TRY(e->read(reinterpret_cast<DeviceAddress>(sums.at<double>()), bytes, losses.data(), bytes, 1));
  *loss = std::accumulate(losses.begin(), losses.end(), 0.0);
  return SD_OK;
}

int32_t sd_rms_norm_backward(sd_engine *e, sd_address x, int32_t x_stride, sd_address weight, float eps, float offset,
                             sd_address d_out, int32_t d_out_stride, sd_address d_x, int32_t d_x_stride, sd_address d_weight,
                             int32_t rows, int32_t cols) {
  SD_TRY(e->enter());
  if (rows == 0 || cols == 0) return SD_OK;
  const int n_parts = (rows + kRowsEach - 1) / kRowsEach;
  Scratch scales(e), parts(e);
  SD_TRY(scales.take(2 * static_cast<size_t>(rows) * sizeof(float)));
  SD_TRY(parts.take(static_cast<size_t>(n_parts) * cols * sizeof(float)));
  SD_TRY(e->launch_tasks(rows, kernels::norm_scales, at<const float>(x), x_stride, at<const float>(weight), eps, offset,
                         at<const float>(d_out), d_out_stride, rows, cols, scales.at<float>()));
  SD_TRY(e->launch_over(n_parts, cols, kernels::norm_weight_parts, at<const float>(x), x_stride, at<const float>(d_out), d_out_stride,
                        scales.at<const float>(), rows, cols, kRowsEach, parts.at<float>()));
  SD_TRY(e->launch_over(1, cols, kernels::add_float_parts, parts.at<const float>(), n_parts, cols, at<float>(d_weight)));
  return e->launch_over(rows, cols, kernels::norm_input, at<const float>(x), x_stride, at<const float>(weight), offset,
                        at<const float>(d_out), d_out_stride, scales.at<const float>(), at<float>(d_x), d_x_stride, rows, cols);
}

/** By products, a head after the other: the stream's order makes the sums over heads that share keys the same every time. */
int32_t sd_attention_backward(sd_engine *e, sd_address q, int32_t q_stride, sd_address k, int32_t k_stride, sd_address v, int32_t v_stride,
                              int32_t n, int32_t n_heads, int32_t n_kv_heads, int32_t head_dim, float scale, sd_address out,
                              int32_t out_stride, sd_address d_out, int32_t d_out_stride, sd_address d_q, int32_t d_q_stride,
                              sd_address d_k, int32_t d_k_stride, sd_address d_v, int32_t d_v_stride) {
  SD_TRY(e->enter());
  if (n == 0) return SD_OK;
  const size_t items = static_cast<size_t>(std::min(n, kQueries)) * n;
  Scratch p(e), d_s(e);
  SD_TRY(p.take(items * sizeof(float)));
  SD_TRY(d_s.take(items * sizeof(float)));
  const int sharing = n_heads / n_kv_heads;
  for (int head = 0; head < n_heads; head++) {
    const long own = static_cast<long>(head) * head_dim, shared = static_cast<long>(head / sharing) * head_dim;
    const Heads heads = {{at<float>(q) + own, q_stride},      {at<float>(k) + shared, k_stride},
                         {at<float>(v) + shared, v_stride},   {at<float>(out) + own, out_stride},
                         {at<float>(d_out) + own, d_out_stride}, {at<float>(d_q) + own, d_q_stride},
                         {at<float>(d_k) + shared, d_k_stride}, {at<float>(d_v) + shared, d_v_stride}};
    // The last queries see all keys: with them the first head of a group begins the sums.
    for (int first = (n - 1) / kQueries * kQueries; first >= 0; first -= kQueries) {
      const int rows = std::min(kQueries, n - first);
      const bool begun = head % sharing != 0 || first + rows < n;
      SD_TRY(backward_queries(e, heads, {n, head_dim, scale}, first, rows, begun, p.at<float>(), d_s.at<float>()));
    }
  }
  return SD_OK;
}

int32_t sd_gated_backward(sd_engine *e, int32_t kind, sd_address gate, int32_t gate_stride, sd_address up, int32_t up_stride,
                          sd_address d_out, int32_t d_out_stride, sd_address d_gate, int32_t d_gate_stride, sd_address d_up,
                          int32_t d_up_stride, int32_t rows, int32_t cols) {
  SD_TRY(e->enter());
  return e->launch_over(rows, cols, kernels::gated_backward, kind, at<const float>(gate), gate_stride, at<const float>(up), up_stride,
                        at<const float>(d_out), d_out_stride, at<float>(d_gate), d_gate_stride, at<float>(d_up), d_up_stride, rows, cols);
}

int32_t sd_scatter_add(sd_engine *e, sd_address src, int32_t src_stride, const int32_t *rows, sd_address dst, int32_t dst_stride,
                       int32_t n_rows, int32_t n_cols) {
  SD_TRY(e->enter());
  if (n_rows == 0 || n_cols == 0) return SD_OK;
  const Additions additions(rows, n_rows);
  const size_t n_targets = additions.targets.size();
  Scratch order(e), starts(e), targets(e);
  SD_TRY(order.upload(additions.order.data(), additions.order.size()));
  SD_TRY(starts.upload(additions.starts.data(), additions.starts.size()));
  SD_TRY(targets.upload(additions.targets.data(), n_targets));
  return e->launch_over(static_cast<int>(n_targets), n_cols, kernels::scatter_add, at<const float>(src), src_stride,
                        order.at<const int>(), starts.at<const int>(), targets.at<const int>(), static_cast<int>(n_targets),
                        at<float>(dst), dst_stride, n_cols);
}

int32_t sd_adam_w(sd_engine *e, sd_address param, int32_t param_dtype, int32_t param_stride, sd_address grad, int32_t grad_stride,
                  sd_address m, int32_t m_stride, sd_address v, int32_t v_stride, int32_t rows, int32_t cols, float decay, float rate1,
                  float beta2, float rate2, float step_size, float correction, float eps, float scale) {
  SD_TRY(e->enter());
  return e->launch_over(rows, cols, kernels::adam_w, at<void>(param), param_dtype, param_stride, at<const float>(grad), grad_stride,
                        at<float>(m), m_stride, at<float>(v), v_stride, rows, cols, decay, rate1, beta2, rate2, step_size, correction, eps,
                        scale);
}
