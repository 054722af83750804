//! Eight f64 side by side, in the registers of each instruction set.

#[cfg(target_arch = "x86_64")]
use crate::isa::{isa, Isa};

/// A vector of eight.
pub trait Eight: Copy {
    /// Whether it is a single register, one of many.
    const WIDE: bool = false;
    unsafe fn splat(x: f64) -> Self;
    unsafe fn load(from: *const f64) -> Self;
    unsafe fn store(self, to: *mut f64);
    /// self + a · b
    unsafe fn plus(self, a: Self, b: Self) -> Self;
    unsafe fn sum(self) -> f64;
}

/// A loop written in vectors of eight. `run` is `inline(always)`, so that it is compiled for the instruction set of its caller.
pub trait Loop {
    type Result;
    unsafe fn run<E: Eight>(self) -> Self::Result;
}

/// Run it in the widest registers of this machine.
pub unsafe fn in_eights<L: Loop>(work: L) -> L::Result {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx2,fma")]
        unsafe fn avx512<L: Loop>(work: L) -> L::Result {
            work.run::<x86::Avx512>()
        }
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2<L: Loop>(work: L) -> L::Result {
            work.run::<x86::Avx2>()
        }
        match isa() {
            Isa::Avx512 => return avx512(work),
            Isa::Avx2 => return avx2(work),
            Isa::Portable => {}
        }
    }
    #[cfg(target_arch = "wasm32")]
    return work.run::<wasm::Simd128>();
    #[cfg(not(target_arch = "wasm32"))]
    work.run::<[f64; 8]>()
}

#[cfg(not(target_arch = "wasm32"))]
impl Eight for [f64; 8] {
    #[inline(always)]
    unsafe fn splat(x: f64) -> Self {
        [x; 8]
    }

    #[inline(always)]
    unsafe fn load(from: *const f64) -> Self {
        *from.cast()
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f64) {
        *to.cast() = self;
    }

    #[inline(always)]
    unsafe fn plus(self, a: Self, b: Self) -> Self {
        core::array::from_fn(|i| self[i] + a[i] * b[i])
    }

    #[inline(always)]
    unsafe fn sum(self) -> f64 {
        self.iter().sum()
    }
}

#[cfg(target_arch = "wasm32")]
mod wasm {
    use super::Eight;
    use core::arch::wasm32::*;
    use core::array::from_fn;

    #[derive(Clone, Copy)]
    pub struct Simd128([v128; 4]);

    impl Eight for Simd128 {
        #[inline(always)]
        unsafe fn splat(x: f64) -> Self {
            Self([f64x2_splat(x); 4])
        }

        #[inline(always)]
        unsafe fn load(from: *const f64) -> Self {
            Self(from_fn(|i| v128_load(from.add(2 * i).cast())))
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f64) {
            for i in 0..4 {
                v128_store(to.add(2 * i).cast(), self.0[i]);
            }
        }

        #[inline(always)]
        unsafe fn plus(self, a: Self, b: Self) -> Self {
            Self(from_fn(|i| f64x2_add(self.0[i], f64x2_mul(a.0[i], b.0[i]))))
        }

        #[inline(always)]
        unsafe fn sum(self) -> f64 {
            let [a, b, c, d] = self.0;
            let two = f64x2_add(f64x2_add(a, b), f64x2_add(c, d));
            f64x2_extract_lane::<0>(two) + f64x2_extract_lane::<1>(two)
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Eight;
    use core::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub struct Avx512(__m512d);

    impl Eight for Avx512 {
        const WIDE: bool = true;

        #[inline(always)]
        unsafe fn splat(x: f64) -> Self {
            Self(_mm512_set1_pd(x))
        }

        #[inline(always)]
        unsafe fn load(from: *const f64) -> Self {
            Self(_mm512_loadu_pd(from))
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f64) {
            _mm512_storeu_pd(to, self.0);
        }

        #[inline(always)]
        unsafe fn plus(self, a: Self, b: Self) -> Self {
            Self(_mm512_fmadd_pd(a.0, b.0, self.0))
        }

        #[inline(always)]
        unsafe fn sum(self) -> f64 {
            _mm512_reduce_add_pd(self.0)
        }
    }

    #[derive(Clone, Copy)]
    pub struct Avx2([__m256d; 2]);

    impl Eight for Avx2 {
        #[inline(always)]
        unsafe fn splat(x: f64) -> Self {
            Self([_mm256_set1_pd(x); 2])
        }

        #[inline(always)]
        unsafe fn load(from: *const f64) -> Self {
            Self([_mm256_loadu_pd(from), _mm256_loadu_pd(from.add(4))])
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f64) {
            _mm256_storeu_pd(to, self.0[0]);
            _mm256_storeu_pd(to.add(4), self.0[1]);
        }

        #[inline(always)]
        unsafe fn plus(self, a: Self, b: Self) -> Self {
            Self([_mm256_fmadd_pd(a.0[0], b.0[0], self.0[0]), _mm256_fmadd_pd(a.0[1], b.0[1], self.0[1])])
        }

        #[inline(always)]
        unsafe fn sum(self) -> f64 {
            let mut four = [0.0; 4];
            _mm256_storeu_pd(four.as_mut_ptr(), _mm256_add_pd(self.0[0], self.0[1]));
            (four[0] + four[2]) + (four[1] + four[3])
        }
    }
}
