//! Products with few rows, where packing would cost more than multiplying: the tokens that are being generated. B is read once, as
//! it lies. An element is summed in the same order whatever the other rows are, so a token does not depend on its company.

use crate::block::{Block, Outcome};
use crate::dots;
use crate::threads;

/// Most rows of C for which dot products beat the packed product, and for which sums of rows of B do.
const MOST_DOTS: usize = 32;
const MOST_ROWS: usize = 8;

/// Rows of B that are added together.
const GROUP: usize = 4;

/// Columns of C and rows of B that are worked on together: 16 KB of sums in the first cache level, 64 KB of B in the second.
const STRIP: usize = 512;
const DEPTH: usize = 32;

/// Multiplications that take as long as bringing one number of B from memory.
const FETCH: usize = 8;

/// The least cost of a piece that is worth a thread.
const LEAST: usize = 1 << 20;

/// Whether `multiply` takes this product: few rows, and A and B lie in memory as it reads them.
pub fn suits(a: Block, b: Block, c: Block) -> bool {
    a.right == 1 && (b.down == 1 && c.rows <= MOST_DOTS || b.right == 1 && c.rows <= MOST_ROWS)
}

/// What a product costs, in multiplications: with few rows the reading of B counts.
pub fn cost(rows: usize, cols: usize, depth: usize) -> usize {
    rows.max(FETCH) * cols * depth
}

/// C := alpha · A B + beta · C for products that suit.
pub unsafe fn multiply(alpha: f32, a: Block, b: Block, beta: f32, c: Block) -> Outcome {
    let by = if b.down == 1 { dots::multiply } else { by_rows };
    let least = (LEAST / cost(c.rows, 1, b.rows).max(1)).max(threads::GRAIN);
    threads::by_pieces(c.cols, least, |first, n| {
        by(alpha, a, b.part(0, first, b.rows, n), beta, c.part(0, first, c.rows, n));
        Ok(())
    })
}

widest! {
/// B lies row by row: each row of C is a sum of rows of B.
unsafe fn by_rows(alpha: f32, a: Block, b: Block, beta: f32, c: Block) {
    for j in (0..c.cols).step_by(STRIP) {
        let mut sums = [[0.0; STRIP]; MOST_ROWS];
        let strip = STRIP.min(c.cols - j);
        for k in (0..b.rows).step_by(DEPTH) {
            let part = b.part(k, j, DEPTH.min(b.rows - k), strip);
            for (i, row) in sums[..c.rows].iter_mut().enumerate() {
                add_rows(a.address(i, k), part, &mut row[..strip]);
            }
        }
        for (i, row) in sums[..c.rows].iter().enumerate() {
            for (col, sum) in row[..strip].iter().enumerate() {
                blend(alpha * sum, beta, c.address(i, j + col));
            }
        }
    }
}
}

/// sums += x B for the run x, four rows of B at a time.
#[inline(always)]
unsafe fn add_rows(x: *const f32, b: Block, sums: &mut [f32]) {
    let row = |k: usize| std::slice::from_raw_parts(b.address(k, 0), b.cols);
    let whole = b.rows / GROUP * GROUP;
    for k in (0..whole).step_by(GROUP) {
        add_four(*x.add(k).cast::<[f32; GROUP]>(), [row(k), row(k + 1), row(k + 2), row(k + 3)], sums);
    }
    for k in whole..b.rows {
        let x = *x.add(k);
        for (sum, y) in sums.iter_mut().zip(row(k)) {
            *sum += x * y;
        }
    }
}

/// sums += x · rows, in the order of the portable code.
#[inline(always)]
unsafe fn add_four(x: [f32; GROUP], rows: [&[f32]; GROUP], sums: &mut [f32]) {
    #[cfg(target_arch = "wasm32")]
    let first = add_vectors(x, rows, sums);
    #[cfg(not(target_arch = "wasm32"))]
    let first = 0;
    let columns = rows[0][first..].iter().zip(&rows[1][first..]).zip(&rows[2][first..]).zip(&rows[3][first..]);
    for (sum, (((y0, y1), y2), y3)) in sums[first..].iter_mut().zip(columns) {
        *sum += (x[0] * y0 + x[1] * y1) + (x[2] * y2 + x[3] * y3);
    }
}

/// The whole vectors of `add_four`, spelt out: whether the compiler finds them hangs on the code around. Gives their numbers' count.
#[cfg(target_arch = "wasm32")]
#[inline(always)]
unsafe fn add_vectors(x: [f32; GROUP], rows: [&[f32]; GROUP], sums: &mut [f32]) -> usize {
    use core::arch::wasm32::*;
    let whole = sums.len() / 4 * 4;
    let x = x.map(|x| f32x4_splat(x));
    for j in (0..whole).step_by(4) {
        let part = |k: usize| f32x4_mul(x[k], v128_load(rows[k].as_ptr().add(j).cast()));
        let four = f32x4_add(f32x4_add(part(0), part(1)), f32x4_add(part(2), part(3)));
        let at = sums.as_mut_ptr().add(j).cast::<v128>();
        v128_store(at, f32x4_add(v128_load(at), four));
    }
    whole
}

/// old := sum + beta · old; beta = 0 ignores what was there, NaN included.
#[inline(always)]
pub unsafe fn blend(sum: f32, beta: f32, old: *mut f32) {
    *old = if beta == 0.0 { sum } else { sum + beta * *old };
}
