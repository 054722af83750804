//! Reverse Cholesky factorisation by halving.

use crate::block::{Block, Failure, Outcome};
use crate::gemm::syrk;
use crate::small::{cholesky_small, half, SMALL};
use crate::triangular::trsm;

/// H = R Rᵀ with R upper triangular, in place, H row-major: reads the upper triangle, the strictly lower part becomes zero.
/// Fails with the row of the first pivot, counted from the last, that is not positive.
pub unsafe fn cholesky_reverse(h: Block) -> Outcome {
    factor(h)?;
    for i in 1..h.rows {
        std::slice::from_raw_parts_mut(h.address(i, 0), i).fill(0.0);
    }
    Ok(())
}

/// R₂₂ from H₂₂, R₁₂ = H₁₂ R₂₂⁻ᵀ, R₁₁ from H₁₁ − R₁₂ R₁₂ᵀ.
unsafe fn factor(h: Block) -> Outcome {
    if h.rows <= SMALL {
        return cholesky_small(h);
    }
    let first = half(h.rows);
    let (h11, h12, h22) = h.split(first);
    factor(h22).map_err(|failure| match failure {
        Failure::Pivot(i) => Failure::Pivot(first + i),
        other => other,
    })?;
    trsm(h12, h22, true)?;
    syrk(-1.0, h12, 1.0, h11)?;
    factor(h11)
}
