//! The operations of training.

use super::*;
use crate::adam::{self, Factors};
use crate::attention_backward::{self, Given, Gradients};
use crate::{backward, loss};

#[no_mangle]
pub unsafe extern "C" fn sd_softmax_cross_entropy(
    engine: *mut Engine,
    logits: *mut f32, logits_stride: i32,
    targets: *const i32,
    out: *mut f32, out_stride: i32,
    rows: i32, cols: i32,
    sum: *mut f64,
) -> i32 {
    let (logits, out) = (matrix(logits, rows, cols, logits_stride), matrix(out, rows, cols, out_stride));
    let (targets, sum) = (list(targets, rows), &mut *sum);
    guarded(engine, RAISED * logits.rows * logits.cols, || {
        *sum = loss::softmax_cross_entropy(logits, targets, out)?;
        Ok(())
    })
}

/// A list of `n` indices; that of none may be null.
unsafe fn list<'a>(indices: *const i32, n: i32) -> &'a [i32] {
    if n == 0 { &[] } else { std::slice::from_raw_parts(indices, n as usize) }
}

#[no_mangle]
pub unsafe extern "C" fn sd_rms_norm_backward(
    engine: *mut Engine,
    x: *mut f32, x_stride: i32,
    weight: *mut f32, eps: f32, offset: f32,
    d_out: *mut f32, d_out_stride: i32,
    d_x: *mut f32, d_x_stride: i32,
    d_weight: *mut f32,
    rows: i32, cols: i32,
) -> i32 {
    let (x, weight) = (matrix(x, rows, cols, x_stride), matrix(weight, 1, cols, cols));
    let (d_out, d_x) = (matrix(d_out, rows, cols, d_out_stride), matrix(d_x, rows, cols, d_x_stride));
    let d_weight = matrix(d_weight, 1, cols, cols);
    guarded(engine, 2 * COPIED * x.rows * x.cols, || {
        backward::rms_norm_backward(x, weight, eps, offset, d_out, d_x, d_weight)
    })
}

#[no_mangle]
pub unsafe extern "C" fn sd_attention_backward(
    engine: *mut Engine,
    q: *mut f32, q_stride: i32,
    k: *mut f32, k_stride: i32,
    v: *mut f32, v_stride: i32,
    n: i32, n_heads: i32, n_kv_heads: i32, head_dim: i32, scale: f32,
    out: *mut f32, out_stride: i32,
    d_out: *mut f32, d_out_stride: i32,
    d_q: *mut f32, d_q_stride: i32,
    d_k: *mut f32, d_k_stride: i32,
    d_v: *mut f32, d_v_stride: i32,
) -> i32 {
    let queries = |at, stride| matrix(at, n, n_heads * head_dim, stride);
    let keys = |at, stride| matrix(at, n, n_kv_heads * head_dim, stride);
    let given = Given {
        q: queries(q, q_stride), k: keys(k, k_stride), v: keys(v, v_stride),
        out: queries(out, out_stride), d_out: queries(d_out, d_out_stride),
    };
    let to = Gradients { d_q: queries(d_q, d_q_stride), d_k: keys(d_k, d_k_stride), d_v: keys(d_v, d_v_stride) };
    let heads = Heads { n_heads: n_heads as usize, n_kv_heads: n_kv_heads as usize, head_dim: head_dim as usize };
    guarded(engine, 5 * product([n, n, n_heads * head_dim]), || {
        attention_backward::attention_backward(given, heads, scale, to)
    })
}

#[no_mangle]
pub unsafe extern "C" fn sd_gated_backward(
    engine: *mut Engine,
    kind: i32,
    gate: *mut f32, gate_stride: i32,
    up: *mut f32, up_stride: i32,
    d_out: *mut f32, d_out_stride: i32,
    d_gate: *mut f32, d_gate_stride: i32,
    d_up: *mut f32, d_up_stride: i32,
    rows: i32, cols: i32,
) -> i32 {
    let of = |at, stride| matrix(at, rows, cols, stride);
    let (gate, up, d_out) = (of(gate, gate_stride), of(up, up_stride), of(d_out, d_out_stride));
    let (d_gate, d_up) = (of(d_gate, d_gate_stride), of(d_up, d_up_stride));
    by_rows(engine, rows, cols, RAISED, |first, n| {
        let rows = |m: Block| m.part(first, 0, n, m.cols);
        backward::gated_backward(kind as u32, rows(gate), rows(up), rows(d_out), rows(d_gate), rows(d_up));
    })
}

#[no_mangle]
pub unsafe extern "C" fn sd_scatter_add(
    engine: *mut Engine,
    src: *mut f32, src_stride: i32,
    rows: *const i32,
    dst: *mut f32, dst_stride: i32,
    n_rows: i32, n_cols: i32,
) -> i32 {
    // How many rows dst has is not needed: TypeScript has checked the indices.
    let (src, dst) = (matrix(src, n_rows, n_cols, src_stride), matrix(dst, 0, n_cols, dst_stride));
    let rows = list(rows, n_rows);
    guarded(engine, COPIED * src.rows * src.cols, || backward::scatter_add(src, rows, dst))
}

#[no_mangle]
pub unsafe extern "C" fn sd_adam_w(
    engine: *mut Engine,
    param: *mut u8, param_dtype: i32, param_stride: i32,
    grad: *mut f32, grad_stride: i32,
    m: *mut f32, m_stride: i32,
    v: *mut f32, v_stride: i32,
    rows: i32, cols: i32,
    decay: f32, rate1: f32, beta2: f32, rate2: f32, step_size: f32, correction: f32, eps: f32, scale: f32,
) -> i32 {
    let of = |at, stride| matrix(at, rows, cols, stride);
    let (grad, m, v) = (of(grad, grad_stride), of(m, m_stride), of(v, v_stride));
    let param = adam::Param::new(param, param_dtype as u32, param_stride as usize);
    let factors = Factors { decay, rate1, beta2, rate2, step_size, correction, eps, scale };
    by_rows(engine, rows, cols, 2 * COPIED, |first, n| {
        let rows = |m: Block| m.part(first, 0, n, m.cols);
        adam::step(param.from(first), rows(grad), rows(m), rows(v), factors);
    })
}
