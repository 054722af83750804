//! Eigendecomposition of a symmetric matrix, by faer: Householder reduction, divide and conquer, back-transformation.

use crate::block::{Failure, Outcome};
use faer::Mat;


/// H = Q diag(values) Qᵀ: values ascending in f64, Q as columns of `vectors` (n x n). Reads the upper triangle of h and leaves it as it
/// is. Computed in f64: damped Hessians have a condition of up to 10⁵, where f32 would leave the small eigenvalues few digits.
pub unsafe fn eigh(h: *const f32, n: usize, stride: usize, values: *mut f64, vectors: *mut f32, vectors_stride: usize) -> Outcome {
    // faer reads the lower triangle, which is the transposed upper one.
    let a = Mat::<f64>::from_fn(n, n, |i, j| *h.add(i.min(j) * stride + i.max(j)) as f64);
    if (0..n).any(|j| (0..=j).any(|i| !a[(j, i)].is_finite())) {
        return Err(Failure::NotFinite);
    }
    let Ok(evd) = a.self_adjoint_eigen(faer::Side::Lower) else {
        return Err(Failure::NoConvergence);
    };
    let (u, s) = (evd.U(), evd.S());
    for j in 0..n {
        *values.add(j) = s[j];
        for i in 0..n {
            *vectors.add(i * vectors_stride + j) = u[(i, j)] as f32;
        }
    }
    Ok(())
}
