//! Matrix products after Goto and van de Geijn: A and B are packed into narrow panels that stay in cache while a small kernel
//! multiplies them in registers.

use crate::block::{Block, Outcome};
#[cfg(target_arch = "x86_64")]
use crate::isa::{isa, Isa};
#[cfg(target_arch = "x86_64")]
use crate::micro::{Avx2, Avx512};
use crate::micro::Micro;
#[cfg(not(target_arch = "wasm32"))]
use crate::micro::Portable;
#[cfg(target_arch = "wasm32")]
use crate::micro::Simd128;
use crate::scratch::Scratch;
use crate::skinny;
use crate::threads;

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
        return skinny::multiply(alpha, a, b, beta, c);
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
    #[cfg(target_arch = "x86_64")]
    match isa() {
        Isa::Avx512 => return product_by::<Avx512>(wanted, alpha, a, b, beta, c),
        Isa::Avx2 => return product_by::<Avx2>(wanted, alpha, a, b, beta, c),
        Isa::Portable => {}
    }
    #[cfg(target_arch = "wasm32")]
    return product_by::<Simd128>(wanted, alpha, a, b, beta, c);
    #[cfg(not(target_arch = "wasm32"))]
    product_by::<Portable>(wanted, alpha, a, b, beta, c)
}

unsafe fn product_by<M: Micro>(wanted: Wanted, alpha: f32, a: Block, b: Block, beta: f32, c: Block) -> Outcome {
    let (m, n, depth) = (c.rows, c.cols, a.cols);
    if m == 0 || n == 0 || depth == 0 || alpha == 0.0 {
        scale(beta, c);
        return Ok(());
    }
    let packed_b = Scratch::<f32>::new(M::NC.min(n.next_multiple_of(M::NR)) * M::KC.min(depth))?;
    let rows = rows_at_once::<M>(m);
    let packed_a = Scratch::<f32>::new(rows * M::KC.min(depth) * m.div_ceil(rows))?;
    for j in (0..n).step_by(M::NC) {
        let nc = M::NC.min(n - j);
        let m = if wanted == Wanted::Upper { m.min(j + nc) } else { m };
        for k in (0..depth).step_by(M::KC) {
            let kc = M::KC.min(depth - k);
            let beta = if k == 0 { beta } else { 1.0 };
            pack_b::<M>(b.part(k, j, kc, nc), &packed_b);
            threads::for_each(m.div_ceil(rows), |piece| {
                let i = piece * rows;
                let mc = rows.min(m - i);
                let packed_a = packed_a.at().add(piece * rows * kc);
                M::pack_a(a.part(i, k, mc, kc).transposed(), packed_a);
                let first_col = |row: usize| if wanted == Wanted::Upper { (i + row).saturating_sub(j) / M::NR * M::NR } else { 0 };
                tiles::<M, _>(kc, alpha, packed_a, packed_b.at(), beta, c.part(i, j, mc, nc), first_col);
            });
        }
    }
    Ok(())
}

/// Rows of A that one piece of work packs: at most MC, and few enough that each thread gets several pieces.
fn rows_at_once<M: Micro>(m: usize) -> usize {
    let shared = if threads::count() > 1 { m.div_ceil(4 * threads::count()) } else { m };
    shared.min(M::MC).next_multiple_of(M::MR)
}

/// Columns of B that one piece of work packs.
const STRIP: usize = 256;

unsafe fn pack_b<M: Micro>(b: Block, to: &Scratch) {
    threads::for_each(b.cols.div_ceil(STRIP), |piece| {
        let j = piece * STRIP;
        M::pack_b(b.part(0, j, b.rows, STRIP.min(b.cols - j)), to.at().add(j * b.rows));
    });
}

/// C := alpha · A B + beta · C for packed A and B, from column `first_col(row)` on in each row of tiles.
#[inline(always)]
unsafe fn tiles<M: Micro, F: Fn(usize) -> usize>(
    kc: usize,
    alpha: f32,
    a: *const f32,
    b: *const f32,
    beta: f32,
    c: Block,
    first_col: F,
) {
    for j in (0..c.cols).step_by(M::NR) {
        for i in (0..c.rows).step_by(M::MR) {
            if j < first_col(i) {
                break;
            }
            let part = c.part(i, j, M::MR.min(c.rows - i), M::NR.min(c.cols - j));
            M::tile(kc, alpha, a.add(i * kc), b.add(j * kc), beta, part);
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
