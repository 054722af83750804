// Operations of a transformer layer; one row is one token.
#ifndef SD_MODEL_CUH
#define SD_MODEL_CUH

#include "grid.cuh"

/** out := x / √(mean(x²) + eps) · (weight + offset), a row for each block; out may be x. */
SD_KERNEL(rms_norm)(const float *x, int x_stride, const float *weight, float eps, float offset, float *out, int out_stride,
                    int rows, int cols) {
  SD_SHARED(float, work, SD_THREADS);
  for (long i = blockIdx.x; i < rows; i += gridDim.x) {
    const float *row = x + i * x_stride;
    float squares = 0;
    for (int j = thread_number(); j < cols; j += SD_THREADS) squares += row[j] * row[j];
    const float scale = 1 / sqrtf(reduce(squares, work, Sum()) / static_cast<float>(cols) + eps);
    for (int j = thread_number(); j < cols; j += SD_THREADS) out[i * out_stride + j] = row[j] * scale * (weight[j] + offset);
  }
}

/** For each head: (a, b) := (a·cos − b·sin, b·cos + a·sin), a and b half a head apart, with row i of cos and sin. */
SD_KERNEL(rotary)(float *x, int rows, int cols, int x_stride, const float *cos, int cos_stride, const float *sin, int sin_stride,
                  int head_dim) {
  const int half = head_dim / 2;
  SD_EACH_ROW(i, rows) SD_EACH_COL(pair, cols / 2) {
    const long head = pair / half, j = pair % half;
    float *first = x + i * x_stride + head * head_dim + j;
    const float a = first[0], b = first[half], c = cos[i * cos_stride + j], s = sin[i * sin_stride + j];
    first[0] = a * c - b * s;
    first[half] = b * c + a * s;
  }
}

/**
 * out := softmax(scale · q kᵀ) v, causal: query row i sees key rows 0 … total − n + i, of the others nothing is read. A block
 * takes one query of one head at a time and goes over its keys SD_THREADS at once, keeping the largest score, the sum of the
 * exponentials and the mixture so far (Milakov and Gimelshein, arXiv 1805.02867).
 */
SD_KERNEL(attention)(const float *q, int q_stride, int n, const float *k, int k_stride, const float *v, int v_stride, int total,
                     int n_heads, int n_kv_heads, int head_dim, float scale, float *out, int out_stride) {
  SD_SHARED(float, query, SD_THREADS * SD_DIMS_EACH);
  SD_SHARED(float, weights, SD_THREADS);
  SD_SHARED(float, work, SD_THREADS);
  const int t = thread_number();
  for (long task = blockIdx.x; task < static_cast<long>(n) * n_heads; task += gridDim.x) {
    const long i = task / n_heads, head = task % n_heads, kv_head = head / (n_heads / n_kv_heads);
    const long seen = total - n + i + 1;
    for (int d = t; d < head_dim; d += SD_THREADS) query[d] = q[i * q_stride + head * head_dim + d];
    SD_BARRIER();
    float mixture[SD_DIMS_EACH] = {}, largest = -INFINITY, sum = 0;
    for (long first = 0; first < seen; first += SD_THREADS) {
      const int here = static_cast<int>(seen - first < SD_THREADS ? seen - first : SD_THREADS);
      float score = -INFINITY;
      if (t < here) {
        const float *key = k + (first + t) * k_stride + kv_head * head_dim;
        float product = 0;
        for (int d = 0; d < head_dim; d++) product += query[d] * key[d];
        score = scale * product;
      }
      const float before = largest;
      largest = Largest()(before, reduce(score, work, Largest()));
      weights[t] = t < here ? expf(score - largest) : 0;
      const float shrink = expf(before - largest);
      sum = sum * shrink + reduce(weights[t], work, Sum());
      for (int e = 0; e < SD_DIMS_EACH; e++) {
        const int d = t + e * SD_THREADS;
        if (d >= head_dim) break;
        const float *value = v + first * v_stride + kv_head * head_dim + d;
        float mixed = 0;
        for (int s = 0; s < here; s++) mixed += weights[s] * value[static_cast<long>(s) * v_stride];
        mixture[e] = mixture[e] * shrink + mixed;
      }
      SD_BARRIER();
    }
    for (int e = 0; e < SD_DIMS_EACH; e++) {
      const int d = t + e * SD_THREADS;
      if (d < head_dim) out[i * out_stride + head * head_dim + d] = mixture[e] / sum;
    }
  }
}

/** gate := activation(gate) · up. kind 0: silu, x/(1 + e⁻ˣ); 1: gelu by tanh, 1 + tanh u = 2/(1 + e⁻²ᵘ). */
SD_KERNEL(gated)(int kind, float *gate, int gate_stride, const float *up, int up_stride, int rows, int cols) {
  const float twice_sqrt_2_over_pi = 1.595769122f;
  SD_EACH_ROW(i, rows) SD_EACH_COL(j, cols) {
    const float x = gate[i * gate_stride + j];
    const float argument = kind == 0 ? x : twice_sqrt_2_over_pi * (x + 0.044715f * x * x * x);
    gate[i * gate_stride + j] = x / (1 + expf(-argument)) * up[i * up_stride + j];
  }
}

#endif
