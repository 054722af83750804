//! Products whose every element is the dot product of two runs of memory: a tile of them at a time, so that a number that was
//! loaded is used more than once.

use crate::block::Block;
#[cfg(target_arch = "x86_64")]
use crate::isa::{isa, Isa};
use crate::skinny::blend;
#[cfg(target_arch = "wasm32")]
use core::arch::wasm32::*;

/// Numbers side by side in a register.
trait Lanes: Copy {
    const N: usize;
    unsafe fn zero() -> Self;
    unsafe fn load(from: *const f32) -> Self;
    /// self + a · b.
    unsafe fn plus(self, a: Self, b: Self) -> Self;
    unsafe fn sum(self) -> f32;
}

/// Rows of a full tile.
const ROWS: usize = 4;

/// Columns of a tile of one or two rows.
const WIDE: usize = 4;

/// C := alpha · A B + beta · C, A row by row and B column by column in runs.
pub unsafe fn multiply(alpha: f32, a: Block, b: Block, beta: f32, c: Block) {
    #[cfg(target_arch = "x86_64")]
    match isa() {
        Isa::Avx512 => return x86::avx512(alpha, a, b, beta, c),
        Isa::Avx2 => return x86::avx2(alpha, a, b, beta, c),
        Isa::Portable => {}
    }
    #[cfg(target_arch = "wasm32")]
    return tiles::<v128, 2>(alpha, a, b, beta, c);
    #[cfg(not(target_arch = "wasm32"))]
    tiles::<[f32; 4], 2>(alpha, a, b, beta, c);
}

#[inline(always)]
unsafe fn tiles<V: Lanes, const COLS: usize>(alpha: f32, a: Block, b: Block, beta: f32, c: Block) {
    if c.rows < 3 {
        strips::<V, WIDE>(alpha, a, b, beta, c);
    } else {
        strips::<V, COLS>(alpha, a, b, beta, c);
    }
}

/// A few columns of B after another, each for all rows of A: those columns stay in the first cache level meanwhile.
#[inline(always)]
unsafe fn strips<V: Lanes, const COLS: usize>(alpha: f32, a: Block, b: Block, beta: f32, c: Block) {
    let whole = c.cols / COLS * COLS;
    for j in (0..whole).step_by(COLS) {
        strip::<V, COLS>(alpha, a, b, beta, c, j);
    }
    for j in whole..c.cols {
        strip::<V, 1>(alpha, a, b, beta, c, j);
    }
}

#[inline(always)]
unsafe fn strip<V: Lanes, const COLS: usize>(alpha: f32, a: Block, b: Block, beta: f32, c: Block, j: usize) {
    let full = c.rows / ROWS * ROWS;
    for i in (0..full).step_by(ROWS) {
        tile::<V, ROWS, COLS>(alpha, a, b, beta, c, i, j);
    }
    match c.rows - full {
        3 => tile::<V, 3, COLS>(alpha, a, b, beta, c, full, j),
        2 => tile::<V, 2, COLS>(alpha, a, b, beta, c, full, j),
        1 => tile::<V, 1, COLS>(alpha, a, b, beta, c, full, j),
        _ => {}
    }
}

/// The tile of C whose first element is (i, j).
#[inline(always)]
unsafe fn tile<V: Lanes, const R: usize, const C: usize>(alpha: f32, a: Block, b: Block, beta: f32, c: Block, i: usize, j: usize) {
    let depth = b.rows;
    let whole = depth / V::N * V::N;
    let (x, y) = (a.address(i, 0), b.address(0, j));
    let (down, right) = (a.down as usize, b.right as usize);
    let mut sums = [[V::zero(); C]; R];
    for k in (0..whole).step_by(V::N) {
        let mut columns = [V::zero(); C];
        for (col, column) in columns.iter_mut().enumerate() {
            *column = V::load(y.add(col * right + k));
        }
        for (row, own) in sums.iter_mut().enumerate() {
            let x = V::load(x.add(row * down + k));
            for (sum, column) in own.iter_mut().zip(columns) {
                *sum = sum.plus(x, column);
            }
        }
    }
    // Apart from what follows: a loop short enough to unroll leaves the sums in registers.
    let mut totals = [[0.0; C]; R];
    for row in 0..R {
        for col in 0..C {
            totals[row][col] = sums[row][col].sum();
        }
    }
    for (row, own) in totals.iter().enumerate() {
        for (col, total) in own.iter().enumerate() {
            let tail: f32 = (whole..depth).map(|k| *x.add(row * down + k) * *y.add(col * right + k)).sum();
            blend(alpha * (total + tail), beta, c.address(i + row, j + col));
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Lanes for [f32; 4] {
    const N: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        [0.0; 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        *from.cast()
    }

    #[inline(always)]
    unsafe fn plus(self, a: Self, b: Self) -> Self {
        [self[0] + a[0] * b[0], self[1] + a[1] * b[1], self[2] + a[2] * b[2], self[3] + a[3] * b[3]]
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        (self[0] + self[2]) + (self[1] + self[3])
    }
}

/// `[f32; 4]` spelt out: whether the compiler finds its vectors hangs on the code around.
#[cfg(target_arch = "wasm32")]
impl Lanes for v128 {
    const N: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        f32x4_splat(0.0)
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        v128_load(from.cast())
    }

    #[inline(always)]
    unsafe fn plus(self, a: Self, b: Self) -> Self {
        f32x4_add(self, f32x4_mul(a, b))
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let two = f32x4_add(self, i32x4_shuffle::<2, 3, 0, 1>(self, self));
        f32x4_extract_lane::<0>(two) + f32x4_extract_lane::<1>(two)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{tiles, Lanes};
    use crate::block::Block;
    use core::arch::x86_64::*;

    /// 4 x 3 sums in 12 of the 16 registers.
    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn avx2(alpha: f32, a: Block, b: Block, beta: f32, c: Block) {
        tiles::<__m256, 3>(alpha, a, b, beta, c);
    }

    /// 4 x 6 sums in 24 of the 32 registers.
    #[target_feature(enable = "avx512f,avx2,fma")]
    pub unsafe fn avx512(alpha: f32, a: Block, b: Block, beta: f32, c: Block) {
        tiles::<__m512, 6>(alpha, a, b, beta, c);
    }

    impl Lanes for __m256 {
        const N: usize = 8;

        #[inline(always)]
        unsafe fn zero() -> Self {
            _mm256_setzero_ps()
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            _mm256_loadu_ps(from)
        }

        #[inline(always)]
        unsafe fn plus(self, a: Self, b: Self) -> Self {
            _mm256_fmadd_ps(a, b, self)
        }

        #[inline(always)]
        unsafe fn sum(self) -> f32 {
            let four = _mm_add_ps(_mm256_castps256_ps128(self), _mm256_extractf128_ps(self, 1));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    impl Lanes for __m512 {
        const N: usize = 16;

        #[inline(always)]
        unsafe fn zero() -> Self {
            _mm512_setzero_ps()
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            _mm512_loadu_ps(from)
        }

        #[inline(always)]
        unsafe fn plus(self, a: Self, b: Self) -> Self {
            _mm512_fmadd_ps(a, b, self)
        }

        #[inline(always)]
        unsafe fn sum(self) -> f32 {
            _mm512_reduce_add_ps(self)
        }
    }
}
