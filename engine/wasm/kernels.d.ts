/* tslint:disable */
/* eslint-disable */

export function adam_w(param: number, param_dtype: number, param_stride: number, grad: number, grad_stride: number, m: number, m_stride: number, v: number, v_stride: number, rows: number, cols: number, decay: number, rate1: number, beta2: number, rate2: number, step_size: number, correction: number, eps: number, scale: number): void;

export function add(alpha: number, a: number, a_stride: number, c: number, c_stride: number, rows: number, cols: number): void;

export function add_bias(x: number, rows: number, cols: number, stride: number, bias: number): void;

/**
 * `bytes` zeros; 0 when memory is short.
 */
export function alloc(bytes: number): number;

export function attention(q: number, q_stride: number, n: number, k: number, k_stride: number, v: number, v_stride: number, total: number, n_heads: number, n_kv_heads: number, head_dim: number, scale: number, out: number, out_stride: number): number;

export function attention_backward(q: number, q_stride: number, k: number, k_stride: number, v: number, v_stride: number, n: number, n_heads: number, n_kv_heads: number, head_dim: number, scale: number, out: number, out_stride: number, d_out: number, d_out_stride: number, d_q: number, d_q_stride: number, d_k: number, d_k_stride: number, d_v: number, d_v_stride: number): number;

export function cholesky_reverse(h: number, n: number, stride: number): number;

export function column_squares(m: number, rows: number, cols: number, stride: number, out: number): void;

export function convert(src: number, src_dtype: number, src_stride: number, dst: number, dst_dtype: number, dst_stride: number, rows: number, cols: number): void;

export function eigh(h: number, n: number, stride: number, values: number, vectors: number, vectors_stride: number): number;

export function fill_bf16(m: number, rows: number, cols: number, stride: number, value: number): void;

export function fill_f16(m: number, rows: number, cols: number, stride: number, value: number): void;

export function fill_f32(m: number, rows: number, cols: number, stride: number, value: number): void;

export function free(at: number, bytes: number): void;

export function gated(kind: number, gate: number, gate_stride: number, up: number, up_stride: number, rows: number, cols: number): void;

export function gated_backward(kind: number, gate: number, gate_stride: number, up: number, up_stride: number, d_out: number, d_out_stride: number, d_gate: number, d_gate_stride: number, d_up: number, d_up_stride: number, rows: number, cols: number): void;

export function gather(item_bytes: number, src: number, src_stride: number, rows: number, cols: number, dst: number, dst_stride: number, n_rows: number, n_cols: number): void;

export function gemm(alpha: number, a: number, a_rows: number, a_cols: number, a_stride: number, trans_a: boolean, b: number, b_rows: number, b_cols: number, b_stride: number, trans_b: boolean, beta: number, c: number, c_rows: number, c_cols: number, c_stride: number): number;

export function invert_triangle(r: number, n: number, stride: number): number;

export function kernels_version(): number;

export function mirror(m: number, n: number, stride: number): void;

export function rms_norm(x: number, x_stride: number, weight: number, eps: number, offset: number, out: number, out_stride: number, rows: number, cols: number): void;

export function rms_norm_backward(x: number, x_stride: number, weight: number, eps: number, offset: number, d_out: number, d_out_stride: number, d_x: number, d_x_stride: number, d_weight: number, rows: number, cols: number): number;

export function rotary(x: number, rows: number, cols: number, x_stride: number, cos: number, cos_stride: number, sin: number, sin_stride: number, head_dim: number): void;

export function scale_cols(m: number, rows: number, cols: number, stride: number, factors: number): void;

export function scatter(item_bytes: number, src: number, src_stride: number, rows: number, cols: number, dst: number, dst_stride: number, n_rows: number, n_cols: number): void;

export function scatter_add(src: number, src_stride: number, rows: number, dst: number, dst_stride: number, n_rows: number, n_cols: number): number;

export function softmax_cross_entropy(logits: number, logits_stride: number, targets: number, out: number, out_stride: number, rows: number, cols: number, sum: number): number;

export function syrk(alpha: number, a: number, rows: number, cols: number, stride: number, beta: number, c: number, c_stride: number): number;

export function trmm(b: number, rows: number, n: number, stride: number, r: number, r_stride: number, transposed: boolean): number;

export function trsm(b: number, rows: number, n: number, stride: number, r: number, r_stride: number, transposed: boolean): number;

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly adam_w: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number, n: number, o: number, p: number, q: number, r: number, s: number) => void;
    readonly add: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => void;
    readonly add_bias: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly alloc: (a: number) => number;
    readonly attention: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number, n: number) => number;
    readonly attention_backward: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number, n: number, o: number, p: number, q: number, r: number, s: number, t: number, u: number) => number;
    readonly cholesky_reverse: (a: number, b: number, c: number) => number;
    readonly column_squares: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly convert: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number) => void;
    readonly eigh: (a: number, b: number, c: number, d: number, e: number, f: number) => number;
    readonly fill_bf16: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly fill_f16: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly fill_f32: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly free: (a: number, b: number) => void;
    readonly gated: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => void;
    readonly gated_backward: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number) => void;
    readonly gather: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number) => void;
    readonly gemm: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number, n: number, o: number, p: number) => number;
    readonly invert_triangle: (a: number, b: number, c: number) => number;
    readonly kernels_version: () => number;
    readonly mirror: (a: number, b: number, c: number) => void;
    readonly rms_norm: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number) => void;
    readonly rms_norm_backward: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number) => number;
    readonly rotary: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number) => void;
    readonly scale_cols: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly scatter: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number) => void;
    readonly scatter_add: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => number;
    readonly softmax_cross_entropy: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number) => number;
    readonly syrk: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number) => number;
    readonly trmm: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => number;
    readonly trsm: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => number;
    readonly __wbindgen_externrefs: WebAssembly.Table;
    readonly __wbindgen_start: () => void;
}

export type SyncInitInput = BufferSource | WebAssembly.Module;

/**
 * Instantiates the given `module`, which can either be bytes or
 * a precompiled `WebAssembly.Module`.
 *
 * @param {{ module: SyncInitInput }} module - Passing `SyncInitInput` directly is deprecated.
 *
 * @returns {InitOutput}
 */
export function initSync(module: { module: SyncInitInput } | SyncInitInput): InitOutput;

/**
 * If `module_or_path` is {RequestInfo} or {URL}, makes a request and
 * for everything else, calls `WebAssembly.instantiate` directly.
 *
 * @param {{ module_or_path: InitInput | Promise<InitInput> }} module_or_path - Passing `InitInput` directly is deprecated.
 *
 * @returns {Promise<InitOutput>}
 */
export default function __wbg_init (module_or_path: { module_or_path: InitInput | Promise<InitInput> } | InitInput | Promise<InitInput>): Promise<InitOutput>;
