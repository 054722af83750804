//! Operations of a transformer layer; one row is one token.

use crate::exp::exp;
use crate::fold::dot;

/// Columns that are worked on together: their results go to a buffer that no input can be part of, so that loops are vectorised.
pub const STRIP: usize = 256;

widest! {
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
}

widest! {
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
}

widest! {
/// gate := activation(gate) · up. kind 0: silu, x/(1 + e⁻ˣ); 1: gelu, x/2 · (1 + tanh u) with u = √(2/π)(x + 0.044715 x³).
pub unsafe fn gated(kind: u32, gate: *mut f32, gate_stride: usize, up: *const f32, up_stride: usize, rows: usize, cols: usize) {
    for i in 0..rows {
        let gate = core::slice::from_raw_parts_mut(gate.add(i * gate_stride), cols);
        let up = core::slice::from_raw_parts(up.add(i * up_stride), cols);
        if kind == 0 {
            gated_row(gate, up, |x| x);
        } else {
            // 1 + tanh u = 2/(1 + e⁻²ᵘ)
            gated_row(gate, up, |x| 2.0 * SQRT_2_OVER_PI * (x + 0.044_715 * x * x * x));
        }
    }
}
}

const SQRT_2_OVER_PI: f32 = 0.797_884_56;

/// gate := gate/(1 + e^{−argument(gate)}) · up.
#[inline(always)]
fn gated_row(gate: &mut [f32], up: &[f32], argument: impl Fn(f32) -> f32) {
    let mut made = [0.0; STRIP];
    for (gate, up) in gate.chunks_mut(STRIP).zip(up.chunks(STRIP)) {
        for ((to, x), y) in made.iter_mut().zip(gate.iter()).zip(up) {
            *to = x / (1.0 + exp(-argument(*x))) * y;
        }
        gate.copy_from_slice(&made[..gate.len()]);
    }
}
