//! `pack` in vectors of 512 bits.

use crate::block::Block;
use crate::pack;
use core::arch::x86_64::*;

/// Columns in a vector.
const LANES: usize = 16;
/// Elements of a column that are read at a time.
const RUN: usize = 4;

/// How far ahead columns are fetched: three cache lines.
const AHEAD: usize = 48;
/// Copy m (depth x width) into panels of W columns, each panel row by row, the last one filled up with zeros. W is a multiple of 4.
#[target_feature(enable = "avx512f")]
pub unsafe fn pack<const W: usize>(m: Block, to: *mut f32) {
    if m.right == 1 {
        copy_rows::<W>(m, to);
    } else if m.down == 1 {
        for j in (0..m.cols).step_by(W) {
            for own in (0..W).step_by(LANES) {
                turn_columns::<W>(m, j + own, LANES.min(W - own), to.add(j * m.rows + own));
            }
        }
    } else {
        pack::pack::<W>(m, to);
    }
}

/// Row after row through all panels, as they lie in memory.
#[inline(always)]
unsafe fn copy_rows<const W: usize>(m: Block, to: *mut f32) {
    for k in 0..m.rows {
        for j in (0..m.cols).step_by(W) {
            for own in (0..W).step_by(LANES) {
                let values = _mm512_maskz_loadu_ps(lanes(m.cols, j + own), m.address(k, 0).wrapping_add(j + own));
                _mm512_mask_storeu_ps(to.add(j * m.rows + k * W + own), lanes(W, own), values);
            }
        }
    }
}

/// A mask of the vector from column `first` on, of `cols`.
#[inline(always)]
fn lanes(cols: usize, first: usize) -> u16 {
    ((1u32 << cols.saturating_sub(first).min(LANES)) - 1) as u16
}

/// `width` columns of m from the first on, those beyond its last being zeros, as rows W numbers apart.
#[inline(always)]
unsafe fn turn_columns<const W: usize>(m: Block, first: usize, width: usize, to: *mut f32) {
    let (own, stored) = (lanes(m.cols, first), lanes(width, 0));
    let column: [*const f32; LANES] =
        core::array::from_fn(|j| m.address(0, (first + j.min(width - 1)).min(m.cols - 1)).cast_const());
    let whole = m.rows / RUN * RUN;
    for k in (0..whole).step_by(RUN) {
        for column in &column[k % LANES..][..RUN] {
            _mm_prefetch::<_MM_HINT_T0>(column.wrapping_add(k / LANES * LANES + AHEAD).cast());
        }
        for (i, row) in turn(&column, k).into_iter().enumerate() {
            _mm512_mask_storeu_ps(to.add((k + i) * W), stored, _mm512_maskz_mov_ps(own, row));
        }
    }
    for k in whole..m.rows {
        for j in 0..width {
            *to.add(k * W + j) = if first + j < m.cols { *column[j].add(k) } else { 0.0 };
        }
    }
}

/// Numbers k to k + 3 of 16 columns, as 4 rows: each 128 bits of a vector take every fourth column, then turn a 4 x 4 square.
#[inline(always)]
unsafe fn turn(column: &[*const f32; LANES], k: usize) -> [__m512; RUN] {
    let four = |j: usize| _mm_loadu_ps(column[j].add(k));
    let every_fourth = |j: usize| {
        let low = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(_mm_castps_si128(four(j))), _mm_castps_si128(four(j + 4)));
        let three = _mm512_inserti32x4::<2>(low, _mm_castps_si128(four(j + 8)));
        _mm512_castsi512_ps(_mm512_inserti32x4::<3>(three, _mm_castps_si128(four(j + 12))))
    };
    let (a, b, c, d) = (every_fourth(0), every_fourth(1), every_fourth(2), every_fourth(3));
    let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
    let (ab_high, cd_high) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
    [
        _mm512_shuffle_ps::<0b01_00_01_00>(ab, cd),
        _mm512_shuffle_ps::<0b11_10_11_10>(ab, cd),
        _mm512_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high),
        _mm512_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high),
    ]
}
