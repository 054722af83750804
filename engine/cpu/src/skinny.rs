//! Products with a few rows, where packing would cost more than multiplying: the token that is being generated.

use crate::block::Block;
use crate::fold::dot;

/// Most rows of C for which these beat the packed product.
const MOST_ROWS: usize = 8;

/// Rows of B that are added together.
const GROUP: usize = 4;

/// Columns of C and rows of B that are worked on together: 16 KB of sums in the first cache level, 64 KB of B in the second.
const STRIP: usize = 512;
const DEPTH: usize = 32;

/// Whether `multiply` takes this product: few rows, and A and B lie in memory as it reads them.
pub fn suits(a: Block, b: Block, c: Block) -> bool {
    c.rows <= MOST_ROWS && a.right == 1 && (b.down == 1 || b.right == 1)
}

/// C := alpha · A B + beta · C for products that suit.
pub unsafe fn multiply(alpha: f32, a: Block, b: Block, beta: f32, c: Block) {
    if b.down == 1 {
        by_dots(alpha, a, b, beta, c);
    } else {
        by_rows(alpha, a, b, beta, c);
    }
}

widest! {
/// B lies column by column: every element is the dot product of two runs of memory.
unsafe fn by_dots(alpha: f32, a: Block, b: Block, beta: f32, c: Block) {
    for j in 0..c.cols {
        let column = std::slice::from_raw_parts(b.address(0, j), b.rows);
        for i in 0..c.rows {
            let row = std::slice::from_raw_parts(a.address(i, 0), a.cols);
            blend(alpha * dot(row, column), beta, c.address(i, j));
        }
    }
}
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
        let x = *x.add(k).cast::<[f32; GROUP]>();
        let rows = row(k).iter().zip(row(k + 1)).zip(row(k + 2)).zip(row(k + 3));
        for (sum, (((y0, y1), y2), y3)) in sums.iter_mut().zip(rows) {
            *sum += (x[0] * y0 + x[1] * y1) + (x[2] * y2 + x[3] * y3);
        }
    }
    for k in whole..b.rows {
        let x = *x.add(k);
        for (sum, y) in sums.iter_mut().zip(row(k)) {
            *sum += x * y;
        }
    }
}

/// old := sum + beta · old; beta = 0 ignores what was there, NaN included.
#[inline(always)]
unsafe fn blend(sum: f32, beta: f32, old: *mut f32) {
    *old = if beta == 0.0 { sum } else { sum + beta * *old };
}
