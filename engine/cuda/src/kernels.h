/*
 * Every kernel: its name and parameters. Host code, device code and the stand-in driver are all made from this one list, so a
 * launch that does not fit its kernel does not compile. What each does is said where it is defined, in kernels.cu.
 */
#ifndef SD_KERNELS_H
#define SD_KERNELS_H

#define SD_KERNELS(K)                                                                                                         \
  K(fill, (void *m, int dtype, int rows, int cols, int stride, float value))                                                  \
  K(convert, (const void *src, int src_dtype, int src_stride, void *dst, int dst_dtype, int dst_stride, int rows, int cols))  \
  K(move_items, (int item_bytes, const void *src, long src_stride, const int *src_rows, const int *src_cols, void *dst,       \
                 long dst_stride, const int *dst_rows, const int *dst_cols, int n_rows, int n_cols))                          \
  K(scale, (float factor, float *m, int rows, int cols, int stride))                                                          \
  K(split_bf16, (const float *src, int stride, int rows, int cols, unsigned short *terms, int terms_stride, long term_items)) \
  K(mirror, (float *m, int n, int stride))                                                                                    \
  K(zero_lower, (float *m, int n, int stride))                                                                                \
  K(first_zero_pivot, (const float *r, int n, int stride, int *status))                                                       \
  K(cholesky_block, (float *h, int n, int stride, int first_row, int *status))                                                \
  K(invert_block, (float *r, int n, int stride))                                                                              \
  K(add, (float alpha, const float *a, int a_stride, float *c, int c_stride, int rows, int cols))                             \
  K(scale_cols, (float *m, int rows, int cols, int stride, const float *factors))                                             \
  K(column_squares, (const float *m, int rows, int cols, int stride, int rows_each, double *sums))                            \
  K(rms_norm, (const float *x, int x_stride, const float *weight, float eps, float offset, float *out, int out_stride,        \
               int rows, int cols))                                                                                           \
  K(add_bias, (float *x, int rows, int cols, int stride, const float *bias))                                                  \
  K(rotary, (float *x, int rows, int cols, int x_stride, const float *cos, int cos_stride, const float *sin, int sin_stride,  \
             int head_dim))                                                                                                   \
  K(attention, (const float *q, int q_stride, int n, const float *k, int k_stride, const float *v, int v_stride, int total,   \
                int n_heads, int n_kv_heads, int head_dim, float scale, float *out, int out_stride))                          \
  K(widen, (const float *h, int n, int stride, double *a, int *status))                                                       \
  K(reflector, (double *a, int n, int k, double *diagonal, double *beside, double *betas))                                    \
  K(row_times, (const double *v, const double *m, int size, int n, int rows_each, double *parts))                             \
  K(add_parts, (const double *parts, int n_parts, int size, const double *factor, double *to))                                \
  K(correct, (const double *v, int size, const double *beta, double *p))                                                      \
  K(subtract_both, (const double *v, const double *w, double *m, int size, int n))                                            \
  K(subtract_outer, (const double *v, const double *w, double *m, int size, int n))                                           \
  K(identity, (double *m, int n))                                                                                             \
  K(transpose, (double *m, int n))                                                                                            \
  K(rotate_rows, (double *z, int n, const int *first, const int *last, int n_sweeps, const double *cosines,                   \
                  const double *sines))                                                                                       \
  K(narrow, (const double *z, int n, const int *order, float *out, int stride))                                               \
  K(cross_entropy, (const float *logits, int logits_stride, const int *targets, float *out, int out_stride, int rows,         \
                    int cols, double *losses))                                                                                \
  K(norm_scales, (const float *x, int x_stride, const float *weight, float eps, float offset, const float *d_out,             \
                  int d_out_stride, int rows, int cols, float *scales))                                                       \
  K(norm_weight_parts, (const float *x, int x_stride, const float *d_out, int d_out_stride, const float *scales, int rows,    \
                        int cols, int rows_each, float *parts))                                                               \
  K(add_float_parts, (const float *parts, int n_parts, int cols, float *to))                                                  \
  K(norm_input, (const float *x, int x_stride, const float *weight, float offset, const float *d_out, int d_out_stride,       \
                 const float *scales, float *d_x, int d_x_stride, int rows, int cols))                                        \
  K(score_slopes, (float *p, float *d_s, int rows, int cols, const float *out, int out_stride, const float *d_out,            \
                   int d_out_stride, int head_dim, float scale))                                                              \
  K(gated_backward, (int kind, const float *gate, int gate_stride, const float *up, int up_stride, const float *d_out,        \
                     int d_out_stride, float *d_gate, int d_gate_stride, float *d_up, int d_up_stride, int rows, int cols))   \
  K(scatter_add, (const float *src, int src_stride, const int *order, const int *starts, const int *targets, int n_targets,   \
                  float *dst, int dst_stride, int cols))                                                                      \
  K(adam_w, (void *param, int dtype, int param_stride, const float *grad, int grad_stride, float *m, int m_stride, float *v,  \
             int v_stride, int rows, int cols, float decay, float rate1, float beta2, float rate2, float step_size,           \
             float correction, float eps, float scale))                                                                       \
  K(gated, (int kind, float *gate, int gate_stride, const float *up, int up_stride, int rows, int cols))

/* Side of the diagonal blocks at which the halving of triangular operations ends. */
#define SD_BLOCK 64
/* Threads of a block that works on one row, one query or one triangle; a square number, for tiles. */
#define SD_THREADS 256
/* Numbers of one head that a thread of `attention` holds: heads have at most this many times SD_THREADS. */
#define SD_DIMS_EACH 4

#endif
