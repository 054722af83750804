// Losses, gradients and the optimiser; one row is one token.
#ifndef SD_TRAINING_CUH
#define SD_TRAINING_CUH

#include "grid.cuh"
#include "halves.cuh"

/** out := softmax(logits) − one-hot(targets), losses[i] := −log softmax(logits)[target], a row for each block; 0 where the target is negative. */
SD_KERNEL(cross_entropy)(const float *logits, int logits_stride, const int *targets, float *out, int out_stride, int rows, int cols,
                         double *losses) {
  SD_SHARED(float, work, SD_THREADS);
  SD_SHARED(double, sums, SD_THREADS);
  for (long i = blockIdx.x; i < rows; i += gridDim.x) {
    const float *row = logits + i * logits_stride;
    const int target = targets[i];
    const bool counts = target >= 0;
    const float chosen = counts ? row[target] : 0;
    float largest = -INFINITY, sum = 0;
    for (int j = thread_number(); j < cols; j += SD_THREADS) largest = Largest()(largest, row[j]);
    largest = reduce(largest, work, Largest());
    for (int j = thread_number(); j < cols; j += SD_THREADS) sum += expf(row[j] - largest);
    const double total = reduce(static_cast<double>(sum), sums, Sum());
    const float inverse = static_cast<float>(1 / total);
    for (int j = thread_number(); j < cols; j += SD_THREADS) {
      const float less = j == target ? 1 : 0;
      out[i * out_stride + j] = counts ? expf(row[j] - largest) * inverse - less : 0;
    }
    if (thread_number() == 0) losses[i] = counts ? static_cast<double>(largest - chosen) + log(total) : 0;
  }
}

/** scales[i] := r = 1 / √(mean(x²) + eps), scales[rows + i] := r² mean((weight + offset) · d_out · x), a row for each block. */
SD_KERNEL(norm_scales)(const float *x, int x_stride, const float *weight, float eps, float offset, const float *d_out,
                       int d_out_stride, int rows, int cols, float *scales) {
  SD_SHARED(float, work, SD_THREADS);
  for (long i = blockIdx.x; i < rows; i += gridDim.x) {
    float squares = 0, product = 0;
    for (int j = thread_number(); j < cols; j += SD_THREADS) {
      const float value = x[i * x_stride + j];
      squares += value * value;
      product += (weight[j] + offset) * d_out[i * d_out_stride + j] * value;
    }
    squares = reduce(squares, work, Sum());
    product = reduce(product, work, Sum());
    const float r = 1 / sqrtf(squares / static_cast<float>(cols) + eps);
    if (thread_number() == 0) {
      scales[i] = r;
      scales[rows + i] = r * r * product / static_cast<float>(cols);
    }
  }
}

/** parts[p][j] := Σ d_out · x r over the `rows_each` rows of part p. */
SD_KERNEL(norm_weight_parts)(const float *x, int x_stride, const float *d_out, int d_out_stride, const float *scales, int rows,
                             int cols, int rows_each, float *parts) {
  SD_EACH_ROW(part, (rows + rows_each - 1) / rows_each) SD_EACH_COL(j, cols) {
    const long first = part * rows_each, end = first + rows_each < rows ? first + rows_each : rows;
    float sum = 0;
    for (long i = first; i < end; i++) sum += d_out[i * d_out_stride + j] * (x[i * x_stride + j] * scales[i]);
    parts[part * cols + j] = sum;
  }
}

/** to[j] += Σ_p parts[p][j], in order. */
SD_KERNEL(add_float_parts)(const float *parts, int n_parts, int cols, float *to) {
  SD_EACH_ROW(one, 1) SD_EACH_COL(j, cols) {
    float sum = to[one + j];
    for (long part = 0; part < n_parts; part++) sum += parts[part * cols + j];
    to[one + j] = sum;
  }
}

/** d_x := r ((weight + offset) · d_out − x · along) with r and along of `norm_scales`; d_x may be d_out or x. */
SD_KERNEL(norm_input)(const float *x, int x_stride, const float *weight, float offset, const float *d_out, int d_out_stride,
                      const float *scales, float *d_x, int d_x_stride, int rows, int cols) {
  SD_EACH_ROW(i, rows) SD_EACH_COL(j, cols) {
    const float scaled = (weight[j] + offset) * d_out[i * d_out_stride + j];
    d_x[i * d_x_stride + j] = scales[i] * (scaled - x[i * x_stride + j] * scales[rows + i]);
  }
}

/**
 * Rows of scores of a block of queries, the last of which sees all `cols` keys: p := softmax of what its query sees,
 * d_s := scale · p · (d_s − d_out · out); both 0 for the other keys. A row for each block.
 */
SD_KERNEL(score_slopes)(float *p, float *d_s, int rows, int cols, const float *out, int out_stride, const float *d_out,
                        int d_out_stride, int head_dim, float scale) {
  SD_SHARED(float, work, SD_THREADS);
  const int t = thread_number();
  for (long i = blockIdx.x; i < rows; i += gridDim.x) {
    const long seen = cols - rows + i + 1;
    float *scores = p + i * cols, *slopes = d_s + i * cols;
    float largest = -INFINITY, sum = 0, product = 0;
    for (long s = t; s < seen; s += SD_THREADS) largest = Largest()(largest, scores[s]);
    largest = reduce(largest, work, Largest());
    for (long s = t; s < seen; s += SD_THREADS) sum += expf(scores[s] - largest);
    sum = reduce(sum, work, Sum());
    for (int d = t; d < head_dim; d += SD_THREADS) product += out[i * out_stride + d] * d_out[i * d_out_stride + d];
    const float mean = reduce(product, work, Sum());
    for (long s = t; s < cols; s += SD_THREADS) {
      const float weight = s < seen ? expf(scores[s] - largest) / sum : 0;
      slopes[s] = s < seen ? scale * weight * (slopes[s] - mean) : 0;
      scores[s] = weight;
    }
  }
}

/**
 * d_gate := d_out · up · activation′(gate), d_up := d_out · activation(gate); kinds as in `gated`. The activation x s(u),
 * s = 1/(1 + e⁻ᵘ), has the slope s + x s (1 − s) u′. Beyond ±200 it is flat in f32, and squares up to there are finite.
 */
SD_KERNEL(gated_backward)(int kind, const float *gate, int gate_stride, const float *up, int up_stride, const float *d_out,
                          int d_out_stride, float *d_gate, int d_gate_stride, float *d_up, int d_up_stride, int rows, int cols) {
  const float twice_sqrt_2_over_pi = 1.595769122f, flat = 200;
  SD_EACH_ROW(i, rows) SD_EACH_COL(j, cols) {
    const float x = gate[i * gate_stride + j], y = up[i * up_stride + j], g = d_out[i * d_out_stride + j];
    const float near = x > flat ? flat : x < -flat ? -flat : x;
    const float argument = kind == 0 ? near : twice_sqrt_2_over_pi * (near + 0.044715f * near * near * near);
    const float slope = kind == 0 ? 1 : twice_sqrt_2_over_pi * (1 + 0.134145f * near * near);
    const float s = 1 / (1 + expf(-argument));
    d_gate[i * d_gate_stride + j] = g * y * (s + near * s * (1 - s) * slope);
    d_up[i * d_up_stride + j] = g * (x * s);
  }
}

/** dst[targets[u]] += the rows order[starts[u]] … order[starts[u + 1] − 1] of src, in that order; targets differ. */
SD_KERNEL(scatter_add)(const float *src, int src_stride, const int *order, const int *starts, const int *targets, int n_targets,
                       float *dst, int dst_stride, int cols) {
  SD_EACH_ROW(u, n_targets) SD_EACH_COL(j, cols) {
    float *to = dst + static_cast<long>(targets[u]) * dst_stride + j;
    float sum = *to;
    for (int at = starts[u]; at < starts[u + 1]; at++) sum += src[static_cast<long>(order[at]) * src_stride + j];
    *to = sum;
  }
}

/** One step of AdamW; the numbers are those of engine/src/adamW.ts. */
SD_KERNEL(adam_w)(void *param, int dtype, int param_stride, const float *grad, int grad_stride, float *m, int m_stride, float *v,
                  int v_stride, int rows, int cols, float decay, float rate1, float beta2, float rate2, float step_size,
                  float correction, float eps, float scale) {
  SD_EACH_ROW(i, rows) SD_EACH_COL(j, cols) {
    const float g = scale * grad[i * grad_stride + j];
    const float first = m[i * m_stride + j] + rate1 * (g - m[i * m_stride + j]);
    const float second = v[i * v_stride + j] * beta2 + rate2 * g * g;
    m[i * m_stride + j] = first;
    v[i * v_stride + j] = second;
    const float kept = load(param, dtype, i * param_stride + j) * decay;
    store(param, dtype, i * param_stride + j, kept - step_size * (first / (sqrtf(second) / correction + eps)));
  }
}

#endif
