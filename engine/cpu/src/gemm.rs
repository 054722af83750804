//! Matrix products after Goto and van de Geijn: A and B are packed into narrow panels that stay in cache while a small kernel
//! multiplies them in registers.

use crate::block::{Block, Outcome};
use crate::micro::{tile, MR, NR};
use crate::pack::pack;
use crate::scratch::Scratch;
use crate::skinny;

/// Depth of a panel: MR + NR panels of it (12 KB) lie in the first cache level.
const KC: usize = 256;
/// Rows of A packed at once: MC x KC floats (96 KB) lie in the second level.
const MC: usize = 96;
/// Columns of B packed at once: KC x NC floats (2 MB) lie in the last level.
const NC: usize = 2048;

/// Which elements of the result are wanted.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    All,
    /// On and above the diagonal; those below become anything.
    Upper,
}

/// C := alpha · A B + beta · C. C overlaps neither A nor B; beta = 0 ignores what C held, NaN included.
pub unsafe fn gemm(alpha: f32, a: Block, b: Block, beta: f32, c: Block) -> Outcome {
    let (a, b, c) = upright(a, b, c);
    if skinny::suits(a, b, c) {
        skinny::multiply(alpha, a, b, beta, c);
        return Ok(());
    }
    product(Wanted::All, alpha, a, b, beta, c)
}

/// Upper triangle of C := alpha · A Aᵀ + beta · C, C row-major; the strictly lower part becomes anything.
pub unsafe fn syrk(alpha: f32, a: Block, beta: f32, c: Block) -> Outcome {
    product(Wanted::Upper, alpha, a, a.transposed(), beta, c)
}

/// The same product with C row by row and all steps forwards where that can be had.
unsafe fn upright(mut a: Block, mut b: Block, mut c: Block) -> (Block, Block, Block) {
    if c.right.abs() > c.down.abs() {
        (a, b, c) = (b.transposed(), a.transposed(), c.transposed());
    }
    if c.down < 0 {
        (a, c) = (a.flipped_rows(), c.flipped_rows());
    }
    if c.right < 0 {
        (b, c) = (b.flipped_cols(), c.flipped_cols());
    }
    if a.right < 0 {
        (a, b) = (a.flipped_cols(), b.flipped_rows());
    }
    (a, b, c)
}

unsafe fn product(wanted: Wanted, alpha: f32, a: Block, b: Block, beta: f32, c: Block) -> Outcome {
    let (m, n, depth) = (c.rows, c.cols, a.cols);
    if depth == 0 || alpha == 0.0 {
        scale(beta, c);
        return Ok(());
    }
    let packed_a = Scratch::new(MC.min(m.next_multiple_of(MR)) * KC.min(depth))?;
    let packed_b = Scratch::new(NC.min(n.next_multiple_of(NR)) * KC.min(depth))?;
    for j in (0..n).step_by(NC) {
        let nc = NC.min(n - j);
        for k in (0..depth).step_by(KC) {
            let kc = KC.min(depth - k);
            let beta = if k == 0 { beta } else { 1.0 };
            pack::<NR>(b.part(k, j, kc, nc), packed_b.at());
            for i in (0..m).step_by(MC) {
                if wanted == Wanted::Upper && i >= j + nc {
                    break;
                }
                let mc = MC.min(m - i);
                pack::<MR>(a.part(i, k, mc, kc).transposed(), packed_a.at());
                let first_col = |row: usize| if wanted == Wanted::Upper { (i + row).saturating_sub(j) / NR * NR } else { 0 };
                tiles(kc, alpha, packed_a.at(), packed_b.at(), beta, c.part(i, j, mc, nc), first_col);
            }
        }
    }
    Ok(())
}

/// C := alpha · A B + beta · C for packed A and B, from column `first_col(row)` on in each row of tiles.
unsafe fn tiles(kc: usize, alpha: f32, a: *const f32, b: *const f32, beta: f32, c: Block, first_col: impl Fn(usize) -> usize) {
    for j in (0..c.cols).step_by(NR) {
        for i in (0..c.rows).step_by(MR) {
            if j < first_col(i) {
                break;
            }
            let part = c.part(i, j, MR.min(c.rows - i), NR.min(c.cols - j));
            tile(kc, alpha, a.add(i * kc), b.add(j * kc), beta, part);
        }
    }
}

/// C := beta · C; beta = 0 clears even NaN.
pub unsafe fn scale(beta: f32, c: Block) {
    for i in 0..c.rows {
        for j in 0..c.cols {
            let at = c.address(i, j);
            *at = if beta == 0.0 { 0.0 } else { beta * *at };
        }
    }
}
