/*
 * The one C ABI of the engine libraries: `native` (Rust, CPU) and `cuda` (C++ and CUDA).
 *
 * An engine computes on its own memory, addressed by numbers: on a CPU they are host addresses, on a GPU device addresses.
 * Matrices are row-major; a stride counts elements from one row to the next. The caller has checked shapes, types and overlaps;
 * what each operation does is said in engine/src/engine.ts. Parameters written as pointers are host memory, and are free again when
 * the call returns; so is every result in host memory. What only engine memory sees may still be under way.
 *
 * Every function returns a status: SD_OK, p + 1 for a bad pivot in row p (Cholesky, triangular inverse and solve), or one of the
 * negative codes; sd_last_error tells more. Same library, same input: the same bytes, whatever the number of threads.
 *
 * Any thread may call, and several at once with an engine each; one engine hears one thread at a time.
 *
 * The TypeScript symbol table is generated from the lines `SD_API int32_t name(type name, …);`, one function each.
 */
#ifndef SAFEDELTA_H
#define SAFEDELTA_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef SD_API
#define SD_API
#endif

/* Raised whenever a function changes. */
#define SD_ABI_VERSION 2

#define SD_OK 0
#define SD_OUT_OF_MEMORY -1
#define SD_NOT_FINITE -2
#define SD_NO_CONVERGENCE -3
/* A bug or a failing device; the text says which. The engine must not be used any more. */
#define SD_FAILED -4
/* sd_open only: what is missing on this machine. */
#define SD_UNAVAILABLE -5
/* sd_open only: all is there but a device of this number; there are devices of lower ones. */
#define SD_NO_SUCH_DEVICE -6

/* Storage types. */
#define SD_F32 0
#define SD_F16 1
#define SD_BF16 2

/* Kinds of gated activation. */
#define SD_SILU 0
#define SD_GELU_TANH 1

typedef struct sd_engine sd_engine;
/* A place in engine memory. */
typedef uint64_t sd_address;

SD_API int32_t sd_abi_version(void);
/* Text of the last failure on this thread, cut to `capacity` bytes with its final zero. */
SD_API int32_t sd_last_error(char *text, int32_t capacity);

/* native: `number` threads, 0 for all cores. cuda: device `number`; `folders`, one a line, hold the driver's or cuBLAS's libraries, or is null. */
SD_API int32_t sd_open(int32_t number, const char *folders, sd_engine **engine);
SD_API int32_t sd_close(sd_engine *engine);
/* One line (build, instruction set, device), and the threads or multiprocessors that compute. */
SD_API int32_t sd_describe(sd_engine *engine, char *text, int32_t capacity, int32_t *threads);
/* Bytes of engine memory that are free now and in all. */
SD_API int32_t sd_memory(sd_engine *engine, double *free_bytes, double *total_bytes);

/* `bytes` zeros. */
SD_API int32_t sd_alloc(sd_engine *engine, uint64_t bytes, sd_address *address);
SD_API int32_t sd_free(sd_engine *engine, sd_address address, uint64_t bytes);
/* Copy `rows` runs of `row_bytes`: close together in host memory, `pitch_bytes` apart in engine memory. */
SD_API int32_t sd_write(sd_engine *engine, sd_address to, uint64_t pitch_bytes, const void *from, uint64_t row_bytes, int32_t rows);
SD_API int32_t sd_read(sd_engine *engine, sd_address from, uint64_t pitch_bytes, void *to, uint64_t row_bytes, int32_t rows);
SD_API int32_t sd_convert(sd_engine *engine, sd_address src, int32_t src_dtype, int32_t src_stride, sd_address dst, int32_t dst_dtype, int32_t dst_stride, int32_t rows, int32_t cols);
SD_API int32_t sd_fill(sd_engine *engine, sd_address m, int32_t dtype, int32_t rows, int32_t cols, int32_t stride, float value);

SD_API int32_t sd_gemm(sd_engine *engine, float alpha, sd_address a, int32_t a_rows, int32_t a_cols, int32_t a_stride, int32_t trans_a, sd_address b, int32_t b_rows, int32_t b_cols, int32_t b_stride, int32_t trans_b, float beta, sd_address c, int32_t c_rows, int32_t c_cols, int32_t c_stride);
SD_API int32_t sd_syrk(sd_engine *engine, float alpha, sd_address a, int32_t rows, int32_t cols, int32_t stride, float beta, sd_address c, int32_t c_stride);
SD_API int32_t sd_mirror(sd_engine *engine, sd_address m, int32_t n, int32_t stride);
SD_API int32_t sd_cholesky_reverse(sd_engine *engine, sd_address h, int32_t n, int32_t stride);
SD_API int32_t sd_invert_triangle(sd_engine *engine, sd_address r, int32_t n, int32_t stride);
SD_API int32_t sd_trmm(sd_engine *engine, sd_address b, int32_t rows, int32_t n, int32_t stride, sd_address r, int32_t r_stride, int32_t trans_r);
SD_API int32_t sd_trsm(sd_engine *engine, sd_address b, int32_t rows, int32_t n, int32_t stride, sd_address r, int32_t r_stride, int32_t trans_r);
SD_API int32_t sd_eigh(sd_engine *engine, sd_address h, int32_t n, int32_t stride, double *values, sd_address vectors, int32_t vectors_stride);

SD_API int32_t sd_add(sd_engine *engine, float alpha, sd_address a, int32_t a_stride, sd_address c, int32_t c_stride, int32_t rows, int32_t cols);
SD_API int32_t sd_scale_cols(sd_engine *engine, sd_address m, int32_t rows, int32_t cols, int32_t stride, const float *factors);
SD_API int32_t sd_column_squares(sd_engine *engine, sd_address m, int32_t rows, int32_t cols, int32_t stride, double *sums);
/* Items of 2 or 4 bytes; `n_rows` x `n_cols` of them are moved. A null list means every index in order. */
SD_API int32_t sd_gather(sd_engine *engine, int32_t item_bytes, sd_address src, int32_t src_stride, const int32_t *rows, const int32_t *cols, sd_address dst, int32_t dst_stride, int32_t n_rows, int32_t n_cols);
SD_API int32_t sd_scatter(sd_engine *engine, int32_t item_bytes, sd_address src, int32_t src_stride, const int32_t *rows, const int32_t *cols, sd_address dst, int32_t dst_stride, int32_t n_rows, int32_t n_cols);

SD_API int32_t sd_rms_norm(sd_engine *engine, sd_address x, int32_t x_stride, sd_address weight, float eps, float offset, sd_address out, int32_t out_stride, int32_t rows, int32_t cols);
SD_API int32_t sd_add_bias(sd_engine *engine, sd_address x, int32_t rows, int32_t cols, int32_t stride, sd_address bias);
SD_API int32_t sd_rotary(sd_engine *engine, sd_address x, int32_t rows, int32_t cols, int32_t x_stride, sd_address cos, int32_t cos_stride, sd_address sin, int32_t sin_stride, int32_t head_dim);
SD_API int32_t sd_attention(sd_engine *engine, sd_address q, int32_t q_stride, int32_t n, sd_address k, int32_t k_stride, sd_address v, int32_t v_stride, int32_t total, int32_t n_heads, int32_t n_kv_heads, int32_t head_dim, float scale, sd_address out, int32_t out_stride);
SD_API int32_t sd_gated(sd_engine *engine, int32_t kind, sd_address gate, int32_t gate_stride, sd_address up, int32_t up_stride, int32_t rows, int32_t cols);

/* A negative target counts nothing. out may be logits. `loss` is the sum over the rows that count. */
SD_API int32_t sd_softmax_cross_entropy(sd_engine *engine, sd_address logits, int32_t logits_stride, const int32_t *targets, sd_address out, int32_t out_stride, int32_t rows, int32_t cols, double *loss);
SD_API int32_t sd_rms_norm_backward(sd_engine *engine, sd_address x, int32_t x_stride, sd_address weight, float eps, float offset, sd_address d_out, int32_t d_out_stride, sd_address d_x, int32_t d_x_stride, sd_address d_weight, int32_t rows, int32_t cols);
SD_API int32_t sd_attention_backward(sd_engine *engine, sd_address q, int32_t q_stride, sd_address k, int32_t k_stride, sd_address v, int32_t v_stride, int32_t n, int32_t n_heads, int32_t n_kv_heads, int32_t head_dim, float scale, sd_address out, int32_t out_stride, sd_address d_out, int32_t d_out_stride, sd_address d_q, int32_t d_q_stride, sd_address d_k, int32_t d_k_stride, sd_address d_v, int32_t d_v_stride);
SD_API int32_t sd_gated_backward(sd_engine *engine, int32_t kind, sd_address gate, int32_t gate_stride, sd_address up, int32_t up_stride, sd_address d_out, int32_t d_out_stride, sd_address d_gate, int32_t d_gate_stride, sd_address d_up, int32_t d_up_stride, int32_t rows, int32_t cols);
SD_API int32_t sd_scatter_add(sd_engine *engine, sd_address src, int32_t src_stride, const int32_t *rows, sd_address dst, int32_t dst_stride, int32_t n_rows, int32_t n_cols);
/* The last eight numbers are those of engine/src/adamW.ts. */
SD_API int32_t sd_adam_w(sd_engine *engine, sd_address param, int32_t param_dtype, int32_t param_stride, sd_address grad, int32_t grad_stride, sd_address m, int32_t m_stride, sd_address v, int32_t v_stride, int32_t rows, int32_t cols, float decay, float rate1, float beta2, float rate2, float step_size, float correction, float eps, float scale);

#ifdef __cplusplus
}
#endif

#endif
