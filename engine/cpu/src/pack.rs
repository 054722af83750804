//! Copies of blocks in the order in which the innermost product reads them.

use crate::block::Block;

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

unsafe fn pack_ragged<const W: usize>(m: Block, to: *mut f32) {
    for k in 0..m.rows {
        for j in 0..W {
            *to.add(k * W + j) = if j < m.cols { *m.address(k, j) } else { 0.0 };
        }
    }
}

#[inline(always)]
unsafe fn pack_panel<const W: usize>(m: Block, to: *mut f32) {
    for k in 0..m.rows {
        let row = &mut *to.add(k * W).cast::<[f32; W]>();
        if m.right == 1 {
            *row = *m.address(k, 0).cast::<[f32; W]>();
        } else {
            for (j, value) in row.iter_mut().enumerate() {
                *value = *m.address(k, j);
            }
        }
    }
}
