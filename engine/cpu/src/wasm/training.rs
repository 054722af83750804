//! The operations of training.

use super::*;
use crate::adam::{self, Factors};
use crate::attention_backward::{self, Given, Gradients};
use crate::{backward, loss};

#[wasm_bindgen]
pub fn softmax_cross_entropy(
    logits: *mut f32, logits_stride: usize,
    targets: *const i32,
    out: *mut f32, out_stride: usize,
    rows: usize, cols: usize,
    sum: *mut f64,
) -> i32 {
    let (logits, out) = (Block::row_major(logits, rows, cols, logits_stride), Block::row_major(out, rows, cols, out_stride));
    unsafe {
        status(loss::softmax_cross_entropy(logits, list(targets, rows), out).map(|loss| *sum = loss))
    }
}

unsafe fn list<'a>(indices: *const i32, n: usize) -> &'a [i32] {
    std::slice::from_raw_parts(indices, n)
}

#[wasm_bindgen]
pub fn rms_norm_backward(
    x: *mut f32, x_stride: usize,
    weight: *mut f32, eps: f32, offset: f32,
    d_out: *mut f32, d_out_stride: usize,
    d_x: *mut f32, d_x_stride: usize,
    d_weight: *mut f32,
    rows: usize, cols: usize,
) -> i32 {
    let of = |at, stride| Block::row_major(at, rows, cols, stride);
    let line = |at| Block::row_major(at, 1, cols, cols);
    let (x, d_out, d_x) = (of(x, x_stride), of(d_out, d_out_stride), of(d_x, d_x_stride));
    status(unsafe { backward::rms_norm_backward(x, line(weight), eps, offset, d_out, d_x, line(d_weight)) })
}

#[wasm_bindgen]
pub fn attention_backward(
    q: *mut f32, q_stride: usize,
    k: *mut f32, k_stride: usize,
    v: *mut f32, v_stride: usize,
    n: usize, n_heads: usize, n_kv_heads: usize, head_dim: usize, scale: f32,
    out: *mut f32, out_stride: usize,
    d_out: *mut f32, d_out_stride: usize,
    d_q: *mut f32, d_q_stride: usize,
    d_k: *mut f32, d_k_stride: usize,
    d_v: *mut f32, d_v_stride: usize,
) -> i32 {
    let queries = |at, stride| Block::row_major(at, n, n_heads * head_dim, stride);
    let keys = |at, stride| Block::row_major(at, n, n_kv_heads * head_dim, stride);
    let given = Given {
        q: queries(q, q_stride), k: keys(k, k_stride), v: keys(v, v_stride),
        out: queries(out, out_stride), d_out: queries(d_out, d_out_stride),
    };
    let to = Gradients { d_q: queries(d_q, d_q_stride), d_k: keys(d_k, d_k_stride), d_v: keys(d_v, d_v_stride) };
    let heads = Heads { n_heads, n_kv_heads, head_dim };
    status(unsafe { attention_backward::attention_backward(given, heads, scale, to) })
}

#[wasm_bindgen]
pub fn gated_backward(
    kind: u32,
    gate: *mut f32, gate_stride: usize,
    up: *mut f32, up_stride: usize,
    d_out: *mut f32, d_out_stride: usize,
    d_gate: *mut f32, d_gate_stride: usize,
    d_up: *mut f32, d_up_stride: usize,
    rows: usize, cols: usize,
) {
    let of = |at, stride| Block::row_major(at, rows, cols, stride);
    let (d_gate, d_up) = (of(d_gate, d_gate_stride), of(d_up, d_up_stride));
    unsafe { backward::gated_backward(kind, of(gate, gate_stride), of(up, up_stride), of(d_out, d_out_stride), d_gate, d_up) }
}

#[wasm_bindgen]
pub fn scatter_add(
    src: *mut f32, src_stride: usize,
    rows: *const i32,
    dst: *mut f32, dst_stride: usize,
    n_rows: usize, n_cols: usize,
) -> i32 {
    let (src, dst) = (Block::row_major(src, n_rows, n_cols, src_stride), Block::row_major(dst, 0, n_cols, dst_stride));
    status(unsafe { backward::scatter_add(src, list(rows, n_rows), dst) })
}

#[wasm_bindgen]
pub fn adam_w(
    param: *mut u8, param_dtype: u32, param_stride: usize,
    grad: *mut f32, grad_stride: usize,
    m: *mut f32, m_stride: usize,
    v: *mut f32, v_stride: usize,
    rows: usize, cols: usize,
    decay: f32, rate1: f32, beta2: f32, rate2: f32, step_size: f32, correction: f32, eps: f32, scale: f32,
) {
    let of = |at, stride| Block::row_major(at, rows, cols, stride);
    let factors = Factors { decay, rate1, beta2, rate2, step_size, correction, eps, scale };
    let param = adam::Param::new(param, param_dtype, param_stride);
    unsafe { adam::step(param, of(grad, grad_stride), of(m, m_stride), of(v, v_stride), factors) }
}
