//! Operations of a transformer layer; one row is one token.

use crate::exp::{exp, tanh};

/// Partial sums kept side by side, so that the compiler can use its widest registers.
const LANES: usize = 16;

/// Σ x·y with `LANES` partial sums.
#[inline]
fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let tail: f32 = xs.remainder().iter().zip(ys.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in xs.zip(ys) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + tail
}

/// out := x / √(mean(x²) + eps) · (weight + offset), row by row; out may be x.
#[allow(clippy::too_many_arguments)]
pub unsafe fn rms_norm(
    x: *const f32,
    x_stride: usize,
    weight: *const f32,
    eps: f32,
    offset: f32,
    out: *mut f32,
    out_stride: usize,
    rows: usize,
    cols: usize,
) {
    for i in 0..rows {
        let row = core::slice::from_raw_parts(x.add(i * x_stride), cols);
        let scale = 1.0 / (dot(row, row) / cols as f32 + eps).sqrt();
        for j in 0..cols {
            *out.add(i * out_stride + j) = *x.add(i * x_stride + j) * scale * (*weight.add(j) + offset);
        }
    }
}

/// For each head of x (rows x cols, heads of head_dim): (a, b) := (a·cos − b·sin, b·cos + a·sin), a and b half a head apart; row t
/// of cos and sin (head_dim/2 numbers) belongs to row t of x.
#[allow(clippy::too_many_arguments)]
pub unsafe fn rotary(
    x: *mut f32,
    rows: usize,
    cols: usize,
    x_stride: usize,
    cos: *const f32,
    cos_stride: usize,
    sin: *const f32,
    sin_stride: usize,
    head_dim: usize,
) {
    let half = head_dim / 2;
    for t in 0..rows {
        let (c, s) = (cos.add(t * cos_stride), sin.add(t * sin_stride));
        for head in (0..cols).step_by(head_dim) {
            let first = x.add(t * x_stride + head);
            for j in 0..half {
                let (a, b) = (*first.add(j), *first.add(half + j));
                *first.add(j) = a * *c.add(j) - b * *s.add(j);
                *first.add(half + j) = b * *c.add(j) + a * *s.add(j);
            }
        }
    }
}

/// Causal attention of one sequence. q and out: n x n_heads·head_dim; k and v: total x n_kv_heads·head_dim. Query row i sees key
/// rows 0 … total − n + i; n_heads/n_kv_heads query heads share a key head. scratch: at least total numbers.
#[allow(clippy::too_many_arguments)]
pub unsafe fn attention(
    q: *const f32,
    q_stride: usize,
    n: usize,
    k: *const f32,
    k_stride: usize,
    v: *const f32,
    v_stride: usize,
    total: usize,
    n_heads: usize,
    n_kv_heads: usize,
    head_dim: usize,
    scale: f32,
    out: *mut f32,
    out_stride: usize,
    scratch: *mut f32,
) {
    for head in 0..n_heads {
        let kv = head / (n_heads / n_kv_heads) * head_dim;
        for i in 0..n {
            let seen = total - n + i + 1;
            let scores = core::slice::from_raw_parts_mut(scratch, seen);
            let query = core::slice::from_raw_parts(q.add(i * q_stride + head * head_dim), head_dim);
            for (t, score) in scores.iter_mut().enumerate() {
                *score = scale * dot(query, core::slice::from_raw_parts(k.add(t * k_stride + kv), head_dim));
            }
            softmax(scores);
            let into = core::slice::from_raw_parts_mut(out.add(i * out_stride + head * head_dim), head_dim);
            weighted_rows(scores, v.add(kv), v_stride, into);
        }
    }
}

/// x := e^{x − max x} / Σ e^{x − max x}.
fn softmax(x: &mut [f32]) {
    let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for value in x.iter_mut() {
        *value = exp(*value - largest);
    }
    let sum: f32 = x.iter().sum();
    let inverse = 1.0 / sum;
    for value in x.iter_mut() {
        *value *= inverse;
    }
}

/// out := Σ_t weights[t] · row t of v.
unsafe fn weighted_rows(weights: &[f32], v: *const f32, v_stride: usize, out: &mut [f32]) {
    out.fill(0.0);
    for (t, weight) in weights.iter().enumerate() {
        let row = core::slice::from_raw_parts(v.add(t * v_stride), out.len());
        for (o, x) in out.iter_mut().zip(row) {
            *o += weight * x;
        }
    }
}

/// gate := activation(gate) · up. kind 0: silu, x/(1 + e⁻ˣ); 1: gelu, x/2 · (1 + tanh(√(2/π)(x + 0.044715 x³))).
pub unsafe fn gated(
    kind: u32,
    gate: *mut f32,
    gate_stride: usize,
    up: *const f32,
    up_stride: usize,
    rows: usize,
    cols: usize,
) {
    for i in 0..rows {
        for j in 0..cols {
            let g = gate.add(i * gate_stride + j);
            let x = *g;
            let active = if kind == 0 { x / (1.0 + exp(-x)) } else { gelu_tanh(x) };
            *g = active * *up.add(i * up_stride + j);
        }
    }
}

#[inline]
fn gelu_tanh(x: f32) -> f32 {
    const SQRT_2_OVER_PI: f32 = 0.797_884_56;
    0.5 * x * (1.0 + tanh(SQRT_2_OVER_PI * (x + 0.044_715 * x * x * x)))
}
