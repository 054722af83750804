//! Products, solves and inverses with an upper triangular R, by halving: all but small diagonal blocks is matrix products.

use crate::block::{Block, Failure, Outcome};
use crate::gemm::{gemm, most_depth, multiply_triangle, scale};
use crate::scratch::Scratch;
use crate::small::{half, invert_small, solve_small, SMALL};
use crate::threads;

/// B := B · R, or B · Rᵀ. B is m x n, R n x n; only its upper triangle is read.
pub unsafe fn trmm(b: Block, r: Block, transposed: bool) -> Outcome {
    let n = r.rows;
    let most = n.div_ceil(n.div_ceil(most_depth()).max(1)).next_multiple_of(SMALL);
    let memory = Scratch::new(most * most)?;
    let pieces = n.div_ceil(most.max(1));
    for piece in 0..pieces {
        // From the side on which nothing is needed of the columns that are overwritten.
        let k = if transposed { piece } else { pieces - 1 - piece } * most;
        multiply_rows(b, r, k, most.min(n - k), transposed, &memory)?;
    }
    Ok(())
}

/// What `kc` columns of B from k on give with the rows of R (of Rᵀ) there: added to the columns that lie beyond, and then instead of
/// them.
unsafe fn multiply_rows(b: Block, r: Block, k: usize, kc: usize, transposed: bool, memory: &Scratch) -> Outcome {
    let (own, beyond) = (b.part(0, k, b.rows, kc), k + kc);
    let square = Block::row_major(memory.at(), kc, kc, kc);
    copy_square(r.part(k, k, kc, kc), square);
    if transposed {
        let before = r.part(0, k, k, kc).transposed();
        return multiply_triangle(own, square.transposed(), true, before, b.part(0, 0, b.rows, k));
    }
    let rest = r.cols - beyond;
    multiply_triangle(own, square, false, r.part(k, beyond, kc, rest), b.part(0, beyond, b.rows, rest))
}

/// B := B · R⁻¹, or B · R⁻ᵀ. B is m x n, R n x n; only its upper triangle is read. Fails on a zero on the diagonal, B untouched.
pub unsafe fn trsm(b: Block, r: Block, transposed: bool) -> Outcome {
    require_pivots(r)?;
    let diagonal = Diagonal::new(r, b.rows)?;
    by_rows(b, |b| solve(b, r, transposed, &diagonal, 0))
}

/// R := R⁻¹. The strictly lower part is neither read nor written. Fails on a zero on the diagonal, R untouched.
pub unsafe fn invert(r: Block) -> Outcome {
    require_pivots(r)?;
    let diagonal = Diagonal::new(r, r.rows)?;
    invert_part(r, &diagonal, 0)
}

unsafe fn require_pivots(r: Block) -> Outcome {
    match (0..r.rows).find(|&i| *r.address(i, i) == 0.0) {
        Some(i) => Err(Failure::Pivot(i)),
        None => Ok(()),
    }
}

/// With J the reversal: X Rᵀ = B is (X J)(J Rᵀ J) = B J, where J Rᵀ J is upper triangular again.
unsafe fn mirrored(b: Block, r: Block) -> (Block, Block) {
    (b.flipped_cols(), r.transposed().flipped_rows().flipped_cols())
}

/// Rows of B do not know each other, so each thread takes some; enough of them that no product becomes a skinny one by it.
unsafe fn by_rows(b: Block, work: impl Fn(Block) -> Outcome + Sync) -> Outcome {
    threads::by_pieces(b.rows, LEAST_ROWS, |i, rows| work(b.part(i, 0, rows, b.cols)))
}

const LEAST_ROWS: usize = 96;

/// Largest triangle that is multiplied with as a whole square: its zeros cost less than products of little depth, except in
/// WebAssembly.
const WHOLE: usize = if cfg!(target_arch = "wasm32") { SMALL } else { 128 };

/// Rows of B that are copied and multiplied at a time: they stay in the second cache level.
const CHUNK: usize = 768;

/// Whether B is worked on by whole triangles: rows enough to outweigh their zeros. Pieces of a B with LEAST_ROWS have as many, so that
/// the result does not depend on the number of threads.
fn takes_whole(b: Block, r: Block) -> bool {
    b.rows >= LEAST_ROWS && r.rows > SMALL && r.rows <= WHOLE
}

/// B := B · T for the square T.
unsafe fn multiply_whole(b: Block, t: Block) -> Outcome {
    let copy = Scratch::<f32>::new(b.rows.min(CHUNK + LEAST_ROWS) * b.cols)?;
    let mut i = 0;
    while i < b.rows {
        let rest = b.rows - i;
        let rows = if rest < CHUNK + LEAST_ROWS { rest } else { CHUNK };
        let part = b.part(i, 0, rows, b.cols);
        let copied = Block::row_major(copy.at(), rows, b.cols, b.cols);
        copy_block(part, copied);
        gemm(1.0, copied, t, 0.0, part)?;
        i += rows;
    }
    Ok(())
}

/// T := R with the zeros below its diagonal.
unsafe fn copy_square(r: Block, t: Block) {
    for i in 0..r.rows {
        std::slice::from_raw_parts_mut(t.address(i, 0), i).fill(0.0);
    }
    copy_upper(r, t);
}

/// The upper triangle of T := that of R.
unsafe fn copy_upper(r: Block, t: Block) {
    for i in 0..r.rows {
        copy_block(r.part(i, i, 1, r.cols - i), t.part(i, i, 1, r.cols - i));
    }
}

widest! {
unsafe fn copy_block(from: Block, to: Block) {
    for i in 0..from.rows {
        if from.right == 1 {
            std::ptr::copy_nonoverlapping(from.address(i, 0), to.address(i, 0), from.cols);
            continue;
        }
        for j in 0..from.cols {
            *to.address(i, j) = *from.address(i, j);
        }
    }
}
}

/// Inverses of the blocks at which `solve` stops halving a triangle, made once for all that solve with it or with parts of it that it
/// is halved into.
struct Diagonal {
    memory: Scratch,
    is_empty: bool,
}

impl Diagonal {
    /// For a B of so many rows; empty where none of its solves takes whole triangles.
    unsafe fn new(r: Block, b_rows: usize) -> Result<Self, Failure> {
        let mut leaves = Vec::new();
        if b_rows >= LEAST_ROWS && WHOLE > SMALL {
            list_leaves(0, r.rows, &mut leaves);
        }
        let none = Self { memory: Scratch::new(0)?, is_empty: true };
        if leaves.is_empty() {
            return Ok(none);
        }
        let this = Self { memory: Scratch::new(r.rows * WHOLE)?, is_empty: false };
        threads::try_each(leaves.len(), |i| {
            let (first, n) = leaves[i];
            let inverse = this.inverse(first, n);
            copy_square(r.part(first, first, n, n), inverse);
            invert_part(inverse, &none, 0)
        })?;
        Ok(this)
    }

    /// Of the block of n columns that begins at `first`.
    unsafe fn inverse(&self, first: usize, n: usize) -> Block {
        Block::row_major(self.memory.at().add(first * WHOLE), n, n, n)
    }
}

/// The blocks (first, length) of more than SMALL columns at which halving ends.
fn list_leaves(first: usize, n: usize, leaves: &mut Vec<(usize, usize)>) {
    if n > WHOLE {
        list_leaves(first, half(n), leaves);
        list_leaves(first + half(n), n - half(n), leaves);
    } else if n > SMALL {
        leaves.push((first, n));
    }
}

/// B := B R⁻¹: X₁ = B₁ R₁₁⁻¹, X₂ = (B₂ − X₁ R₁₂) R₂₂⁻¹; or B R⁻ᵀ: X₂ = B₂ R₂₂⁻ᵀ, X₁ = (B₁ − X₂ R₁₂ᵀ) R₁₁⁻ᵀ. R begins at `first` of what
/// `diagonal` was made of.
unsafe fn solve(b: Block, r: Block, transposed: bool, diagonal: &Diagonal, first: usize) -> Outcome {
    if takes_whole(b, r) {
        let inverse = diagonal.inverse(first, r.rows);
        return multiply_whole(b, if transposed { inverse.transposed() } else { inverse });
    }
    if r.rows <= SMALL {
        let (b, r) = if transposed { mirrored(b, r) } else { (b, r) };
        solve_small(b, r);
        return Ok(());
    }
    let n = half(r.rows);
    let (r11, r12, r22) = r.split(n);
    let (b1, b2) = b.split_cols(n);
    if transposed {
        solve(b2, r22, true, diagonal, first + n)?;
        gemm(-1.0, b2, r12.transposed(), 1.0, b1)?;
        return solve(b1, r11, true, diagonal, first);
    }
    solve(b1, r11, false, diagonal, first)?;
    gemm(-1.0, b1, r12, 1.0, b2)?;
    solve(b2, r22, false, diagonal, first + n)
}

/// [[R₁₁, R₁₂], [0, R₂₂]]⁻¹ = [[R₁₁⁻¹, −R₁₁⁻¹ R₁₂ R₂₂⁻¹], [0, R₂₂⁻¹]].
unsafe fn invert_part(r: Block, diagonal: &Diagonal, first: usize) -> Outcome {
    if r.rows <= SMALL {
        invert_small(r);
        return Ok(());
    }
    if r.rows <= WHOLE && !diagonal.is_empty {
        copy_upper(diagonal.inverse(first, r.rows), r);
        return Ok(());
    }
    let n = half(r.rows);
    let (r11, r12, r22) = r.split(n);
    scale(-1.0, r12);
    by_rows(r12, |b| solve(b, r22, false, diagonal, first + n))?;
    by_rows(r12.transposed(), |b| solve(b, r11, true, diagonal, first))?;
    threads::try_each(2, |i| if i == 0 { invert_part(r11, diagonal, first) } else { invert_part(r22, diagonal, first + n) })
}
