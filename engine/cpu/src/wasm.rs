//! The WASM skin: every kernel as an export over raw addresses in linear memory. TypeScript has checked all shapes.
//!
//! A matrix is (address, rows, cols, stride). Status: 0 is success, −1 … −3 the failures below, p + 1 a bad pivot at row p.

use crate::attention::{self, Heads};
use crate::block::{Block, Failure, Outcome};
use crate::scratch;
use crate::{cholesky, eigh, elementwise, gemm, half, model, triangular};
use wasm_bindgen::prelude::wasm_bindgen;

#[rustfmt::skip]
mod training;

fn status(outcome: Outcome) -> i32 {
    match outcome {
        Ok(()) => 0,
        Err(Failure::Pivot(row)) => row as i32 + 1,
        Err(Failure::OutOfMemory) => -1,
        Err(Failure::NotFinite) => -2,
        Err(Failure::NoConvergence) => -3,
    }
}

/// Raised whenever an export changes; the TypeScript side expects the same number.
const VERSION: u32 = 2;

#[wasm_bindgen]
pub fn kernels_version() -> u32 {
    VERSION
}

/// `bytes` zeros; 0 when memory is short.
#[wasm_bindgen]
pub fn alloc(bytes: usize) -> *mut u8 {
    scratch::alloc_zeros(bytes)
}

#[wasm_bindgen]
pub fn free(at: *mut u8, bytes: usize) {
    unsafe { scratch::give_back(at, bytes) }
}

#[wasm_bindgen]
pub fn convert(
    src: *const u8, src_dtype: u32, src_stride: usize,
    dst: *mut u8, dst_dtype: u32, dst_stride: usize,
    rows: usize, cols: usize,
) {
    unsafe { elementwise::convert(src, src_dtype, src_stride, dst, dst_dtype, dst_stride, rows, cols) }
}

#[wasm_bindgen]
pub fn fill_f32(m: *mut f32, rows: usize, cols: usize, stride: usize, value: f32) {
    unsafe { elementwise::fill_f32(m, rows, cols, stride, value) }
}

#[wasm_bindgen]
pub fn fill_f16(m: *mut u16, rows: usize, cols: usize, stride: usize, value: f32) {
    unsafe { elementwise::fill_u16(m, rows, cols, stride, half::f32_to_f16(value)) }
}

#[wasm_bindgen]
pub fn fill_bf16(m: *mut u16, rows: usize, cols: usize, stride: usize, value: f32) {
    unsafe { elementwise::fill_u16(m, rows, cols, stride, half::f32_to_bf16(value)) }
}

fn oriented(at: *mut f32, rows: usize, cols: usize, stride: usize, transposed: bool) -> Block {
    let block = Block::row_major(at, rows, cols, stride);
    if transposed { block.transposed() } else { block }
}

#[wasm_bindgen]
pub fn gemm(
    alpha: f32,
    a: *mut f32, a_rows: usize, a_cols: usize, a_stride: usize, trans_a: bool,
    b: *mut f32, b_rows: usize, b_cols: usize, b_stride: usize, trans_b: bool,
    beta: f32,
    c: *mut f32, c_rows: usize, c_cols: usize, c_stride: usize,
) -> i32 {
    let a = oriented(a, a_rows, a_cols, a_stride, trans_a);
    let b = oriented(b, b_rows, b_cols, b_stride, trans_b);
    status(unsafe { gemm::gemm(alpha, a, b, beta, Block::row_major(c, c_rows, c_cols, c_stride)) })
}

#[wasm_bindgen]
pub fn syrk(alpha: f32, a: *mut f32, rows: usize, cols: usize, stride: usize, beta: f32, c: *mut f32, c_stride: usize) -> i32 {
    let a = Block::row_major(a, rows, cols, stride).transposed();
    status(unsafe { gemm::syrk(alpha, a, beta, Block::row_major(c, cols, cols, c_stride)) })
}

#[wasm_bindgen]
pub fn mirror(m: *mut f32, n: usize, stride: usize) {
    unsafe { elementwise::mirror(m, n, stride) }
}

#[wasm_bindgen]
pub fn cholesky_reverse(h: *mut f32, n: usize, stride: usize) -> i32 {
    status(unsafe { cholesky::cholesky_reverse(Block::row_major(h, n, n, stride)) })
}

#[wasm_bindgen]
pub fn invert_triangle(r: *mut f32, n: usize, stride: usize) -> i32 {
    status(unsafe { triangular::invert(Block::row_major(r, n, n, stride)) })
}

#[wasm_bindgen]
pub fn trmm(b: *mut f32, rows: usize, n: usize, stride: usize, r: *mut f32, r_stride: usize, transposed: bool) -> i32 {
    let (b, r) = (Block::row_major(b, rows, n, stride), Block::row_major(r, n, n, r_stride));
    status(unsafe { triangular::trmm(b, r, transposed) })
}

#[wasm_bindgen]
pub fn trsm(b: *mut f32, rows: usize, n: usize, stride: usize, r: *mut f32, r_stride: usize, transposed: bool) -> i32 {
    let (b, r) = (Block::row_major(b, rows, n, stride), Block::row_major(r, n, n, r_stride));
    status(unsafe { triangular::trsm(b, r, transposed) })
}

#[wasm_bindgen]
pub fn eigh(h: *mut f32, n: usize, stride: usize, values: *mut f64, vectors: *mut f32, vectors_stride: usize) -> i32 {
    let (h, vectors) = (Block::row_major(h, n, n, stride), Block::row_major(vectors, n, n, vectors_stride));
    status(unsafe { eigh::eigh(h, values, vectors) })
}

#[wasm_bindgen]
pub fn add(alpha: f32, a: *const f32, a_stride: usize, c: *mut f32, c_stride: usize, rows: usize, cols: usize) {
    unsafe { elementwise::add(alpha, a, a_stride, c, c_stride, rows, cols) }
}

#[wasm_bindgen]
pub fn scale_cols(m: *mut f32, rows: usize, cols: usize, stride: usize, factors: *const f32) {
    unsafe { elementwise::scale_cols(m, rows, cols, stride, factors) }
}

#[wasm_bindgen]
pub fn column_squares(m: *const f32, rows: usize, cols: usize, stride: usize, out: *mut f64) {
    unsafe { elementwise::column_squares(m, rows, cols, stride, out) }
}

#[wasm_bindgen]
pub fn gather(
    item_bytes: usize,
    src: *const u8, src_stride: usize,
    rows: *const i32, cols: *const i32,
    dst: *mut u8, dst_stride: usize,
    n_rows: usize, n_cols: usize,
) {
    unsafe { elementwise::gather(item_bytes, src, src_stride, rows, cols, dst, dst_stride, n_rows, n_cols) }
}

#[wasm_bindgen]
pub fn scatter(
    item_bytes: usize,
    src: *const u8, src_stride: usize,
    rows: *const i32, cols: *const i32,
    dst: *mut u8, dst_stride: usize,
    n_rows: usize, n_cols: usize,
) {
    unsafe { elementwise::scatter(item_bytes, src, src_stride, rows, cols, dst, dst_stride, n_rows, n_cols) }
}

#[wasm_bindgen]
pub fn rms_norm(
    x: *const f32, x_stride: usize,
    weight: *const f32, eps: f32, offset: f32,
    out: *mut f32, out_stride: usize,
    rows: usize, cols: usize,
) {
    unsafe { model::rms_norm(x, x_stride, weight, eps, offset, out, out_stride, rows, cols) }
}

#[wasm_bindgen]
pub fn add_bias(x: *mut f32, rows: usize, cols: usize, stride: usize, bias: *const f32) {
    unsafe { elementwise::add_bias(x, rows, cols, stride, bias) }
}

#[wasm_bindgen]
pub fn rotary(
    x: *mut f32, rows: usize, cols: usize, x_stride: usize,
    cos: *const f32, cos_stride: usize,
    sin: *const f32, sin_stride: usize,
    head_dim: usize,
) {
    unsafe { model::rotary(x, rows, cols, x_stride, cos, cos_stride, sin, sin_stride, head_dim) }
}

#[wasm_bindgen]
pub fn attention(
    q: *mut f32, q_stride: usize, n: usize,
    k: *mut f32, k_stride: usize,
    v: *mut f32, v_stride: usize, total: usize,
    n_heads: usize, n_kv_heads: usize, head_dim: usize, scale: f32,
    out: *mut f32, out_stride: usize,
) -> i32 {
    let kv_cols = n_kv_heads * head_dim;
    let q = Block::row_major(q, n, n_heads * head_dim, q_stride);
    let (k, v) = (Block::row_major(k, total, kv_cols, k_stride), Block::row_major(v, total, kv_cols, v_stride));
    let out = Block::row_major(out, n, n_heads * head_dim, out_stride);
    let heads = Heads { n_heads, n_kv_heads, head_dim };
    status(unsafe { attention::attention(q, k, v, heads, scale, out) })
}

#[wasm_bindgen]
pub fn gated(kind: u32, gate: *mut f32, gate_stride: usize, up: *const f32, up_stride: usize, rows: usize, cols: usize) {
    unsafe { model::gated(kind, gate, gate_stride, up, up_stride, rows, cols) }
}
