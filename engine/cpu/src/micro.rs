//! The innermost product, one tile of the result held in registers, once for each instruction set.

use crate::block::Block;
use crate::pack::pack;

/// A tile product and the sizes that suit its instruction set and caches.
pub trait Micro {
    /// Rows and columns of a tile.
    const MR: usize;
    const NR: usize;
    /// Depth of a panel: MR + NR panels of it lie in the first cache level.
    const KC: usize;
    /// Most rows of A packed at once: MC x KC floats lie in the second level.
    const MC: usize;
    /// Most columns of B packed at once: KC x NC floats lie in the last level.
    const NC: usize;
    /// Whether a tile's vectors are runs of a column of C instead of a row: such tiles are given the product's transpose.
    const BY_COLUMNS: bool = false;

    /// Packed columns of Aᵀ and of B: see `pack`.
    unsafe fn pack_a(m: Block, to: *mut f32);
    unsafe fn pack_b(m: Block, to: *mut f32);

    /// C := alpha · A B + beta · C for one tile (C may be smaller than it): a holds depth x MR, b depth x NR numbers.
    unsafe fn tile(depth: usize, alpha: f32, a: *const f32, b: *const f32, beta: f32, c: Block);
}

/// C := alpha · sums + beta · C.
#[inline(always)]
unsafe fn store<const MR: usize, const NR: usize>(alpha: f32, sums: &[[f32; NR]; MR], beta: f32, c: Block) {
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

/// 4 x 8: 8 vectors of 4 floats and what they are made of fill 16 registers.
pub struct Portable;

impl Micro for Portable {
    const MR: usize = 4;
    const NR: usize = 8;
    const KC: usize = 256;
    const MC: usize = 96;
    const NC: usize = 2048;

    unsafe fn pack_a(m: Block, to: *mut f32) {
        pack::<4>(m, to);
    }

    unsafe fn pack_b(m: Block, to: *mut f32) {
        pack::<8>(m, to);
    }

    #[inline(always)]
    unsafe fn tile(depth: usize, alpha: f32, a: *const f32, b: *const f32, beta: f32, c: Block) {
        let mut sums = [[0.0; 8]; 4];
        for k in 0..depth {
            let a = &*a.add(k * 4).cast::<[f32; 4]>();
            let b = &*b.add(k * 8).cast::<[f32; 8]>();
            for i in 0..4 {
                for j in 0..8 {
                    sums[i][j] += a[i] * b[j];
                }
            }
        }
        store(alpha, &sums, beta, c);
    }
}

#[cfg(target_arch = "wasm32")]
pub use wasm::Simd128;

/// `Portable` with its vectors spelt out: whether the compiler finds them hangs on the code around.
#[cfg(target_arch = "wasm32")]
mod wasm {
    use super::{store, Micro, Portable};
    use crate::block::Block;
    use core::arch::wasm32::*;

    /// 4 x 8. Larger tiles and an unrolled loop measured slower.
    pub struct Simd128;

    impl Micro for Simd128 {
        const MR: usize = Portable::MR;
        const NR: usize = Portable::NR;
        const KC: usize = Portable::KC;
        const MC: usize = Portable::MC;
        const NC: usize = Portable::NC;

        unsafe fn pack_a(m: Block, to: *mut f32) {
            Portable::pack_a(m, to);
        }

        unsafe fn pack_b(m: Block, to: *mut f32) {
            Portable::pack_b(m, to);
        }

        #[inline(always)]
        unsafe fn tile(depth: usize, alpha: f32, mut a: *const f32, mut b: *const f32, beta: f32, c: Block) {
            let mut s = [[f32x4_splat(0.0); 2]; 4];
            for _ in 0..depth {
                let (b0, b1) = (v128_load(b.cast()), v128_load(b.add(4).cast()));
                for i in 0..4 {
                    let x = v128_load32_splat(a.add(i).cast());
                    s[i][0] = f32x4_add(s[i][0], f32x4_mul(x, b0));
                    s[i][1] = f32x4_add(s[i][1], f32x4_mul(x, b1));
                }
                (a, b) = (a.add(4), b.add(8));
            }
            if c.rows < 4 || c.cols < 8 || c.right != 1 {
                return store(alpha, &*s.as_ptr().cast::<[[f32; 8]; 4]>(), beta, c);
            }
            let (alpha, scale) = (f32x4_splat(alpha), f32x4_splat(beta));
            for i in 0..4 {
                for j in 0..2 {
                    let at = c.address(i, 4 * j).cast::<v128>();
                    let sum = f32x4_mul(alpha, s[i][j]);
                    let value = if beta == 0.0 { sum } else { f32x4_add(sum, f32x4_mul(scale, v128_load(at))) };
                    v128_store(at, value);
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{store, Micro};
    use crate::block::Block;
    use crate::pack::pack;
    use crate::pack512;
    use core::arch::x86_64::*;

    /// 6 x 16: 12 of the 16 registers hold sums.
    pub struct Avx2;

    impl Micro for Avx2 {
        const MR: usize = 6;
        const NR: usize = 16;
        const KC: usize = 256;
        const MC: usize = 144;
        const NC: usize = 4096;

        unsafe fn pack_a(m: Block, to: *mut f32) {
            pack::<6>(m, to);
        }

        unsafe fn pack_b(m: Block, to: *mut f32) {
            pack::<16>(m, to);
        }

        #[inline(always)]
        unsafe fn tile(depth: usize, alpha: f32, a: *const f32, b: *const f32, beta: f32, c: Block) {
            tile_avx2(depth, alpha, a, b, beta, c)
        }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn tile_avx2(depth: usize, alpha: f32, mut a: *const f32, mut b: *const f32, beta: f32, c: Block) {
        let mut s = [[_mm256_setzero_ps(); 2]; 6];
        for _ in 0..depth {
            let (b0, b1) = (_mm256_loadu_ps(b), _mm256_loadu_ps(b.add(8)));
            for (i, row) in s.iter_mut().enumerate() {
                let x = _mm256_broadcast_ss(&*a.add(i));
                row[0] = _mm256_fmadd_ps(x, b0, row[0]);
                row[1] = _mm256_fmadd_ps(x, b1, row[1]);
            }
            (a, b) = (a.add(6), b.add(16));
        }
        store(alpha, &*s.as_ptr().cast::<[[f32; 16]; 6]>(), beta, c);
    }

    /// How far ahead the packed A is fetched from the second cache level.
    const AHEAD: usize = 8 * 32;

    /// 32 x 12: 24 of the 32 registers hold sums. A panel of B, KC x 12, stays in a first cache level of 32 KiB while panels of A go by
    /// from the second.
    pub struct Avx512;

    impl Micro for Avx512 {
        const MR: usize = 32;
        const NR: usize = 12;
        const KC: usize = 512;
        const MC: usize = 288;
        const NC: usize = 4080;
        const BY_COLUMNS: bool = true;

        unsafe fn pack_a(m: Block, to: *mut f32) {
            pack512::pack::<32>(m, to);
        }

        unsafe fn pack_b(m: Block, to: *mut f32) {
            pack512::pack::<12>(m, to);
        }

        #[inline(always)]
        unsafe fn tile(depth: usize, alpha: f32, a: *const f32, b: *const f32, beta: f32, c: Block) {
            tile_avx512(depth, alpha, a, b, beta, c)
        }
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn tile_avx512(depth: usize, alpha: f32, mut a: *const f32, mut b: *const f32, beta: f32, c: Block) {
        let mut s = [[_mm512_setzero_ps(); 2]; 12];
        macro_rules! step {
            () => {
                _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(AHEAD).cast());
                _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(AHEAD + 16).cast());
                let (a0, a1) = (_mm512_loadu_ps(a), _mm512_loadu_ps(a.add(16)));
                for j in 0..12 {
                    let x = _mm512_set1_ps(*b.add(j));
                    s[j][0] = _mm512_fmadd_ps(x, a0, s[j][0]);
                    s[j][1] = _mm512_fmadd_ps(x, a1, s[j][1]);
                }
                (a, b) = (a.add(32), b.add(12));
            };
        }
        // One column of C after another is brought near meanwhile: all at once would hold up what the sums are made of.
        let between = depth / 16;
        for j in 0..c.cols {
            _mm_prefetch::<_MM_HINT_T0>(c.address(0, j).cast());
            _mm_prefetch::<_MM_HINT_T0>(c.address(c.rows - 1, j).cast());
            for _ in 0..between {
                step!();
            }
        }
        for _ in between * c.cols..depth {
            step!();
        }
        if c.down != 1 {
            let mut sums = [[0.0; 32]; 12];
            for j in 0..12 {
                _mm512_storeu_ps(sums[j].as_mut_ptr(), s[j][0]);
                _mm512_storeu_ps(sums[j].as_mut_ptr().add(16), s[j][1]);
            }
            return store(alpha, &sums, beta, c.transposed());
        }
        let (alpha, scale) = (_mm512_set1_ps(alpha), _mm512_set1_ps(beta));
        let wanted = [first_lanes(c.rows.min(16)), first_lanes(c.rows.saturating_sub(16))];
        for j in 0..12 {
            if j == c.cols {
                return;
            }
            for i in 0..2 {
                let at = c.address(0, j).wrapping_add(16 * i);
                let sum = _mm512_mul_ps(alpha, s[j][i]);
                let old = || _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(wanted[i], at));
                let value = if beta == 0.0 { sum } else { _mm512_add_ps(sum, old()) };
                _mm512_mask_storeu_ps(at, wanted[i], value);
            }
        }
    }

    /// A mask of the first n of 16 lanes.
    fn first_lanes(n: usize) -> u16 {
        ((1u32 << n) - 1) as u16
    }
}
