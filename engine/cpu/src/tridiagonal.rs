//! Reduction of a symmetric matrix to tridiagonal form by Householder reflections.

use crate::block::Outcome;
use crate::panel::{dot, Panel, PAIRS};
use crate::scratch::Scratch;
use crate::tiles::{Tiles, PIECES, SIDE};

/// H = Q T Qᵀ with Q = P₀ P₁ …, P_k = I − v vᵀ / tau, v zero up to element k and 1 at k + 1.
pub struct Tridiagonal {
    /// n numbers.
    pub diagonal: *mut f64,
    /// n numbers: the k-th is at (k, k + 1), the last is zero.
    pub beside: *mut f64,
    /// n numbers; infinity where nothing had to be reflected. The last is not written.
    pub tau: *mut f64,
    /// n x n: row k holds v from element k + 1 on; the rest is not written.
    pub reflectors: *mut f64,
}

/// Reduce the n x n matrix `a`, which is overwritten (Dongarra, Hammarling and Sorensen, 1989). A reflection takes one product of the
/// matrix with a vector, which memory bounds; the matrix itself is updated once for PAIRS of them.
pub unsafe fn tridiagonalise(a: Tiles, n: usize, to: &Tridiagonal) -> Outcome {
    let width = a.width();
    let memory = Scratch::<f64>::new((2 * PAIRS + 1 + PIECES) * width)?;
    let mut panel = Panel { at: memory.at(), width, rows: 0 };
    let x = panel.row(2 * PAIRS);
    for k in 0..n {
        a.copy_row(k, x);
        panel.subtract_row(k, x, aligned(k));
        *to.diagonal.add(k) = *x.add(k);
        *to.beside.add(k) = 0.0;
        if k + 1 == n {
            break;
        }
        let (v, w) = (panel.row(panel.rows), panel.row(panel.rows + 1));
        reflector(x, k, v, width, to);
        let from = k + 1;
        to.reflectors.add(k * n + from).copy_from_nonoverlapping(v.add(from), n - from);
        a.times(from, v, w, x.add(width))?;
        panel.subtract_times(v, w, aligned(from));
        finish(v, w, from, width, *to.tau.add(k));
        panel.rows += 2;
        if panel.rows == 2 * PAIRS {
            a.subtract(&panel, from)?;
            panel.rows = 0;
        }
    }
    Ok(())
}

/// Where the vector that holds element k begins.
fn aligned(k: usize) -> usize {
    k / SIDE * SIDE
}

/// v such that (I − v vᵀ / tau) x is zero after element k + 1, for x from there on; sets tau and what becomes of x[k + 1].
unsafe fn reflector(x: *mut f64, k: usize, v: *mut f64, width: usize, to: &Tridiagonal) {
    let (first, from) = (*x.add(k + 1), aligned(k));
    std::slice::from_raw_parts_mut(x.add(from), k + 2 - from).fill(0.0);
    let rest = dot(x.add(from), x.add(from), width - from);
    std::slice::from_raw_parts_mut(v, from).fill(0.0);
    let (result, tau, scale) = if rest < NEGLIGIBLE {
        (first, f64::INFINITY, 0.0)
    } else {
        let result = -(first * first + rest).sqrt().copysign(first);
        (result, result / (result - first), 1.0 / (first - result))
    };
    for j in from..width {
        *v.add(j) = *x.add(j) * scale;
    }
    *v.add(k + 1) = 1.0;
    *to.beside.add(k) = result;
    *to.tau.add(k) = tau;
}

/// Squares below it are lost to underflow: 90 decades below the least that f32 numbers give.
const NEGLIGIBLE: f64 = 1e-280;

/// w := w / tau − ½ (vᵀ w / tau²) v from element `from` on, zero before it: then v wᵀ + w vᵀ is what the reflection takes from A.
unsafe fn finish(v: *const f64, w: *mut f64, from: usize, width: usize, tau: f64) {
    std::slice::from_raw_parts_mut(w, from).fill(0.0);
    let half = 0.5 * dot(v, w, width) / tau / tau;
    for j in from..width {
        *w.add(j) = *w.add(j) / tau - half * *v.add(j);
    }
}
