//! Eigendecomposition of a symmetric matrix: Householder reduction, then faer's divide and conquer and back-transformation.

use crate::block::{Block, Failure, Outcome};
use crate::scratch::Scratch;
use crate::threads;
use crate::tiles::Tiles;
use crate::tridiagonal::{tridiagonalise, Tridiagonal};
use faer::diag::{DiagMut, DiagRef};
use faer::dyn_stack::MemStack;
use faer::linalg::evd::{self, ComputeEigenvectors};
use faer::linalg::householder::apply_block_householder_sequence_on_the_left_in_place_with_conj as reflect;
use faer::linalg::householder::upgrade_householder_factor as complete;
use faer::linalg::qr::no_pivoting::factor::recommended_block_size;
use faer::{Conj, MatMut, MatRef, Par};

/// H = Q diag(values) Qᵀ: n values ascending, Q as columns of `vectors`. Reads the upper triangle of the row-major h and leaves it.
/// In f64: for a damped Hessian of condition 6000, n = 1536, f32 left ‖Q diag(values) Qᵀ − H‖ = 3e-4 ‖H‖ (f64 4e-8) and took 0.54 of
/// the time.
pub unsafe fn eigh(h: Block, values: *mut f64, vectors: Block) -> Outcome {
    let n = h.rows;
    if n == 0 {
        return Ok(());
    }
    let (reflectors, numbers) = (Scratch::<f64>::new(n * n)?, Scratch::<f64>::new(3 * n)?);
    let t = Tridiagonal {
        diagonal: numbers.at(),
        beside: numbers.at().add(n),
        tau: numbers.at().add(2 * n),
        reflectors: reflectors.at(),
    };
    reduce(h, &t)?;
    let q = Scratch::<f64>::new(n * n)?;
    // Column by column, as faer likes it.
    let u = MatMut::from_raw_parts_mut(q.at(), n, n, 1, n as isize);
    let need = evd::self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, split(), Default::default());
    let work = Scratch::<u8>::new(need.unaligned_bytes_required())?;
    let stack = MemStack::new(std::slice::from_raw_parts_mut(work.at().cast(), need.unaligned_bytes_required()));
    let (diagonal, beside) = (std::slice::from_raw_parts(t.diagonal, n), std::slice::from_raw_parts(t.beside, n));
    let s = DiagMut::from_slice_mut(std::slice::from_raw_parts_mut(values, n));
    let (diagonal, beside) = (DiagRef::from_slice(diagonal), DiagRef::from_slice(beside));
    evd::tridiagonal_self_adjoint_evd(diagonal, beside, s, Some(u), split(), stack, Default::default())
        .map_err(|_| Failure::NoConvergence)?;
    reflect_back(&t, q.at(), n, stack)?;
    narrow(q.at(), vectors);
    Ok(())
}

unsafe fn reduce(h: Block, to: &Tridiagonal) -> Outcome {
    let room = Tiles::room(h.rows)?;
    tridiagonalise(Tiles::widened(h, &room)?, h.rows, to)
}

/// Q := P₀ P₁ … Q for the reflections of t.
unsafe fn reflect_back(t: &Tridiagonal, q: *mut f64, n: usize, stack: &mut MemStack) -> Outcome {
    if n < 2 {
        return Ok(());
    }
    let (count, step) = (n - 1, n as isize);
    let block = recommended_block_size::<f64>(n, n).min(count);
    let memory = Scratch::<f64>::new(block * count)?;
    std::slice::from_raw_parts_mut(memory.at(), block * count).fill(0.0);
    let basis = MatRef::from_raw_parts(t.reflectors.add(1), count, count, 1, step);
    let mut factors = MatMut::from_raw_parts_mut(memory.at(), block, count, 1, block as isize);
    for j in (0..count).step_by(block) {
        let size = block.min(count - j);
        let mut factor = factors.as_mut().submatrix_mut(0, j, size, size);
        for k in 0..size {
            factor[(k, k)] = *t.tau.add(j + k);
        }
        complete(factor, basis.submatrix(j, j, count - j, size), size, 1, split());
    }
    let (factors, rows) = (factors.as_ref(), MatMut::from_raw_parts_mut(q.add(1), count, n, 1, step));
    reflect(basis, factors, Conj::No, rows, split(), stack);
    Ok(())
}

/// Into how many pieces faer splits its work: a fixed number, since its sums depend on it, and results must not depend on threads.
fn split() -> Par {
    threads::faer_split(8)
}

/// Rows and columns that are turned at a time: two cache lines of f64.
const SQUARE: usize = 16;

/// to := q, which lies column by column.
unsafe fn narrow(q: *const f64, to: Block) {
    let n = to.rows;
    for i in (0..n).step_by(SQUARE) {
        for j in (0..n).step_by(SQUARE) {
            for col in j..n.min(j + SQUARE) {
                for row in i..n.min(i + SQUARE) {
                    *to.address(row, col) = *q.add(col * n + row) as f32;
                }
            }
        }
    }
}
