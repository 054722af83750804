//! Products with a few rows, where packing would cost more than multiplying: the token that is being generated.

use crate::block::Block;

/// Most rows of C for which these beat the packed product.
const MOST_ROWS: usize = 8;

/// Numbers of a vector, rows of A and columns of B that are held in registers together.
const LANES: usize = 4;
const GROUP: usize = 4;
const PAIR: usize = 2;

/// Columns of C that stay in the first cache level while B passes by.
const STRIP: usize = 512;

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

/// B lies column by column: every element is the dot product of two runs of memory.
unsafe fn by_dots(alpha: f32, a: Block, b: Block, beta: f32, c: Block) {
    for j in (0..c.cols).step_by(PAIR) {
        for i in (0..c.rows).step_by(GROUP) {
            let pair = PAIR.min(c.cols - j);
            let sums = match c.rows - i {
                1 => dots::<1>(a, i, b, j, pair),
                2 => dots::<2>(a, i, b, j, pair),
                3 => dots::<3>(a, i, b, j, pair),
                _ => dots::<GROUP>(a, i, b, j, pair),
            };
            for (row, values) in sums.iter().enumerate().take(c.rows - i) {
                for (col, sum) in values.iter().enumerate().take(pair) {
                    blend(alpha * sum, beta, c.address(i + row, j + col));
                }
            }
        }
    }
}

/// Rows i … i + M of A times columns j … j + PAIR of B (only `pair` of them exist).
#[inline(always)]
unsafe fn dots<const M: usize>(a: Block, i: usize, b: Block, j: usize, pair: usize) -> [[f32; PAIR]; GROUP] {
    let columns = [b.address(0, j), b.address(0, j + pair - 1)];
    let mut sums = [[[0.0; LANES]; PAIR]; M];
    let whole = a.cols / LANES * LANES;
    for k in (0..whole).step_by(LANES) {
        for (col, column) in columns.iter().enumerate() {
            let y = *column.add(k).cast::<[f32; LANES]>();
            for row in 0..M {
                let x = *a.address(i + row, k).cast::<[f32; LANES]>();
                for lane in 0..LANES {
                    sums[row][col][lane] += x[lane] * y[lane];
                }
            }
        }
    }
    let mut totals = [[0.0; PAIR]; GROUP];
    for row in 0..M {
        for (col, column) in columns.iter().enumerate() {
            let [s0, s1, s2, s3] = sums[row][col];
            totals[row][col] = (s0 + s1) + (s2 + s3);
            for k in whole..a.cols {
                totals[row][col] += *a.address(i + row, k) * *column.add(k);
            }
        }
    }
    totals
}

/// B lies row by row: each row of C is a sum of rows of B.
unsafe fn by_rows(alpha: f32, a: Block, b: Block, beta: f32, c: Block) {
    for j in (0..c.cols).step_by(STRIP) {
        let strip = STRIP.min(c.cols - j);
        for i in 0..c.rows {
            let mut sums = [0.0; STRIP];
            add_rows(a, i, b.part(0, j, b.rows, strip), &mut sums[..strip]);
            for (col, sum) in sums[..strip].iter().enumerate() {
                blend(alpha * sum, beta, c.address(i, j + col));
            }
        }
    }
}

/// sums += row i of A times B, four rows of B at a time.
unsafe fn add_rows(a: Block, i: usize, b: Block, sums: &mut [f32]) {
    let whole = a.cols / GROUP * GROUP;
    let row = |k: usize| std::slice::from_raw_parts(b.address(k, 0), b.cols);
    for k in (0..whole).step_by(GROUP) {
        let x = *a.address(i, k).cast::<[f32; GROUP]>();
        let rows = row(k).iter().zip(row(k + 1)).zip(row(k + 2)).zip(row(k + 3));
        for (sum, (((y0, y1), y2), y3)) in sums.iter_mut().zip(rows) {
            *sum += (x[0] * y0 + x[1] * y1) + (x[2] * y2 + x[3] * y3);
        }
    }
    for k in whole..a.cols {
        let x = *a.address(i, k);
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
