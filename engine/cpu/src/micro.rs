//! The innermost product, one tile of the result held in registers.

use crate::block::Block;

/// Rows and columns of a tile: 8 vectors of 4 floats and what they are made of fill 16 registers. Larger tiles and an unrolled
/// loop measured slower in WASM.
pub const MR: usize = 4;
pub const NR: usize = 8;

type Tile = [[f32; NR]; MR];

/// C := alpha · A B + beta · C for one tile (C may be smaller than it): a holds depth x MR, b depth x NR numbers.
#[inline]
pub unsafe fn tile(depth: usize, alpha: f32, a: *const f32, b: *const f32, beta: f32, c: Block) {
    let sums = products(depth, a, b);
    if c.rows == MR && c.cols == NR && c.right == 1 {
        for (i, row) in sums.iter().enumerate() {
            let into = &mut *c.address(i, 0).cast::<[f32; NR]>();
            for j in 0..NR {
                into[j] = blend(alpha, row[j], beta, into[j]);
            }
        }
        return;
    }
    for i in 0..c.rows {
        for j in 0..c.cols {
            let at = c.address(i, j);
            *at = blend(alpha, sums[i][j], beta, *at);
        }
    }
}

#[inline(always)]
fn blend(alpha: f32, sum: f32, beta: f32, old: f32) -> f32 {
    if beta == 0.0 {
        alpha * sum
    } else {
        alpha * sum + beta * old
    }
}

#[inline(always)]
unsafe fn products(depth: usize, a: *const f32, b: *const f32) -> Tile {
    let mut sums: Tile = [[0.0; NR]; MR];
    for k in 0..depth {
        let a = &*a.add(k * MR).cast::<[f32; MR]>();
        let b = &*b.add(k * NR).cast::<[f32; NR]>();
        for i in 0..MR {
            for j in 0..NR {
                sums[i][j] += a[i] * b[j];
            }
        }
    }
    sums
}
