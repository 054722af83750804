//! Copies of blocks in the order in which the innermost product reads them.

use crate::block::Block;
use crate::square::{transpose, SIDE};

widest! {
/// Copy m (depth x width) into panels of W columns, each panel row by row, the last one filled up with zeros.
pub unsafe fn pack<const W: usize>(m: Block, to: *mut f32) {
    for j in (0..m.cols).step_by(W) {
        let panel = m.part(0, j, m.rows, W.min(m.cols - j));
        let to = to.add(j * m.rows);
        if panel.cols < W {
            pack_ragged::<W>(panel, to);
        } else {
            pack_panel::<W>(panel, to);
        }
    }
}
}

#[inline(always)]
unsafe fn pack_ragged<const W: usize>(m: Block, to: *mut f32) {
    for k in 0..m.rows {
        for j in 0..W {
            *to.add(k * W + j) = if j < m.cols { *m.address(k, j) } else { 0.0 };
        }
    }
}

#[inline(always)]
unsafe fn pack_panel<const W: usize>(m: Block, to: *mut f32) {
    let mut k = 0;
    if m.right == 1 {
        while k < m.rows {
            *to.add(k * W).cast::<[f32; W]>() = *m.address(k, 0).cast::<[f32; W]>();
            k += 1;
        }
    } else if m.down == 1 {
        while k + RUN <= m.rows {
            for j in (0..W / SIDE * SIDE).step_by(SIDE) {
                for k in (k..k + RUN).step_by(SIDE) {
                    transpose(m.address(k, j), m.right, to.add(k * W + j), W as isize);
                }
            }
            for j in W / SIDE * SIDE..W {
                for row in k..k + RUN {
                    *to.add(row * W + j) = *m.address(row, j);
                }
            }
            k += RUN;
        }
    }
    for k in k..m.rows {
        for j in 0..W {
            *to.add(k * W + j) = *m.address(k, j);
        }
    }
}

/// Elements of a column that are copied at a time: a cache line, since columns that lie a power of two apart push each other's lines
/// out of the cache.
const RUN: usize = 16;
