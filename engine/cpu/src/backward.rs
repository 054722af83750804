//! Gradients of the operations of a transformer layer. Results are made in a strip of their own, since they may go where inputs lie.

use crate::block::{Block, Outcome};
use crate::exp::exp;
use crate::fold::dot;
use crate::model::STRIP;
use crate::scratch::Scratch;
use crate::threads;

/// Rows whose part of a weight's gradient is summed apart: the same on any number of threads.
const ROWS: usize = 64;

/// With r = 1 / √(mean(x²) + eps) and w = weight + offset: d_x := r (w · d_out − x r² mean(w · d_out · x)), row by row;
/// d_weight += Σ d_out · x r. d_x may be d_out or x.
pub unsafe fn rms_norm_backward(x: Block, weight: Block, eps: f32, offset: f32, d_out: Block, d_x: Block, d_weight: Block) -> Outcome {
    let pieces = x.rows.div_ceil(ROWS);
    let parts = Scratch::<f32>::new(pieces * x.cols)?;
    threads::try_each(pieces, |piece| {
        let (first, sums) = (piece * ROWS, std::slice::from_raw_parts_mut(parts.at().add(piece * x.cols), x.cols));
        sums.fill(0.0);
        for i in first..(first + ROWS).min(x.rows) {
            let (x, d_out, d_x) = (x.address(i, 0), d_out.address(i, 0), d_x.address(i, 0));
            norm_row(x, weight.address(0, 0), eps, offset, d_out, d_x, sums);
        }
        Ok(())
    })?;
    for piece in 0..pieces {
        for j in 0..x.cols {
            *d_weight.address(0, j) += *parts.at().add(piece * x.cols + j);
        }
    }
    Ok(())
}

widest! {
/// One row; `sums` are what d_weight gets.
unsafe fn norm_row(x: *const f32, weight: *const f32, eps: f32, offset: f32, d_out: *const f32, d_x: *mut f32, sums: &mut [f32]) {
    let cols = sums.len();
    let run = |at: *const f32, j: usize| std::slice::from_raw_parts(at.add(j), STRIP.min(cols - j));
    let mut made = [0.0; STRIP];
    let (mut squares, mut product) = (0.0, 0.0);
    for j in (0..cols).step_by(STRIP) {
        let (x, w, g) = (run(x, j), run(weight, j), run(d_out, j));
        for (to, (w, g)) in made.iter_mut().zip(w.iter().zip(g)) {
            *to = (w + offset) * g;
        }
        squares += dot(x, x);
        product += dot(x, &made[..x.len()]);
    }
    let r = 1.0 / (squares / cols as f32 + eps).sqrt();
    let along = r * r * product / cols as f32;
    for j in (0..cols).step_by(STRIP) {
        let (x, w, g) = (run(x, j), run(weight, j), run(d_out, j));
        for ((sum, x), g) in sums[j..].iter_mut().zip(x).zip(g) {
            *sum += g * (x * r);
        }
        for (((to, x), w), g) in made.iter_mut().zip(x).zip(w).zip(g) {
            *to = r * ((w + offset) * g - x * along);
        }
        std::ptr::copy_nonoverlapping(made.as_ptr(), d_x.add(j), x.len());
    }
}
}

/// Gradients of `model::gated`: d_gate := d_out · up · activation′(gate), d_up := d_out · activation(gate); kinds as there. Each may
/// be one of what is read.
pub unsafe fn gated_backward(kind: u32, gate: Block, up: Block, d_out: Block, d_gate: Block, d_up: Block) {
    for i in 0..gate.rows {
        let (gate, up, d_out) = (gate.address(i, 0), up.address(i, 0), d_out.address(i, 0));
        gated_row(kind, gate, up, d_out, d_gate.address(i, 0), d_up.address(i, 0), d_gate.cols);
    }
}

/// 2 √(2/π): 1 + tanh u = 2/(1 + e⁻²ᵘ).
const TWICE: f32 = 1.595_769_1;
const CUBIC: f32 = 0.044_715;

widest! {
unsafe fn gated_row(kind: u32, gate: *const f32, up: *const f32, d_out: *const f32, d_gate: *mut f32, d_up: *mut f32, cols: usize) {
    let (mut to_gate, mut to_up) = ([0.0; STRIP], [0.0; STRIP]);
    for j in (0..cols).step_by(STRIP) {
        let n = STRIP.min(cols - j);
        let run = |at: *const f32| std::slice::from_raw_parts(at.add(j), n);
        let (x, y, g) = (run(gate), run(up), run(d_out));
        let (to_gate, to_up) = (&mut to_gate[..n], &mut to_up[..n]);
        if kind == 0 {
            gated_strip(x, y, g, to_gate, to_up, |x| x, |_| 1.0);
        } else {
            let slope = |x: f32| TWICE * (1.0 + 3.0 * CUBIC * x * x);
            gated_strip(x, y, g, to_gate, to_up, |x| TWICE * (x + CUBIC * x * x * x), slope);
        }
        std::ptr::copy_nonoverlapping(to_gate.as_ptr(), d_gate.add(j), n);
        std::ptr::copy_nonoverlapping(to_up.as_ptr(), d_up.add(j), n);
    }
}
}

/// Beyond it activations are 0 or x in f32, and their slopes 0 or 1; squares are finite up to it.
const FLAT: f32 = 200.0;

/// The activation x s(u), s = 1/(1 + e⁻ᵘ), has the slope s + x s (1 − s) u′; u and u′ are given.
#[inline(always)]
fn gated_strip(
    gate: &[f32],
    up: &[f32],
    d_out: &[f32],
    d_gate: &mut [f32],
    d_up: &mut [f32],
    argument: impl Fn(f32) -> f32,
    slope: impl Fn(f32) -> f32,
) {
    let read = gate.iter().zip(up).zip(d_out);
    for (((x, y), g), (to_gate, to_up)) in read.zip(d_gate.iter_mut().zip(d_up)) {
        let near = if *x > FLAT { FLAT } else { *x };
        let near = if near < -FLAT { -FLAT } else { near };
        let s = 1.0 / (1.0 + exp(-argument(near)));
        *to_gate = g * y * (s + near * s * (1.0 - s) * slope(near));
        *to_up = g * (x * s);
    }
}

/// dst[rows[i]] += src[i], i in ascending order. Threads share the columns.
pub unsafe fn scatter_add(src: Block, rows: &[i32], dst: Block) -> Outcome {
    threads::by_pieces(src.cols, STRIP, |first, cols| {
        for (i, &row) in rows.iter().enumerate() {
            add_run(src.address(i, first), dst.address(row as usize, first), cols);
        }
        Ok(())
    })
}

widest! {
unsafe fn add_run(from: *const f32, to: *mut f32, n: usize) {
    let (from, to) = (std::slice::from_raw_parts(from, n), std::slice::from_raw_parts_mut(to, n));
    for (sum, value) in to.iter_mut().zip(from) {
        *sum += value;
    }
}
}
