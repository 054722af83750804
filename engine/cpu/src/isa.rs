//! The instruction set that this machine's products use.

use std::sync::OnceLock;

/// From the plainest to the widest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isa {
    /// What the compiler makes of plain code for the build's target.
    Portable,
    Avx2,
    Avx512,
}

/// Looked up once.
pub fn isa() -> Isa {
    static FOUND: OnceLock<Isa> = OnceLock::new();
    *FOUND.get_or_init(find)
}

#[cfg(target_arch = "x86_64")]
fn find() -> Isa {
    if is_x86_feature_detected!("avx512f") {
        Isa::Avx512
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        Isa::Avx2
    } else {
        Isa::Portable
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn find() -> Isa {
    Isa::Portable
}

/// For reports.
#[cfg(not(target_arch = "wasm32"))]
pub fn name() -> &'static str {
    match isa() {
        Isa::Portable => "the target's basic instructions",
        Isa::Avx2 => "AVX2 and FMA",
        Isa::Avx512 => "AVX-512",
    }
}

/// Compile a function once for each instruction set, and take the widest that this machine has. What it calls is compiled with it
/// only where that is inlined.
macro_rules! widest {
    ($(#[$about:meta])* $visible:vis unsafe fn $name:ident $(<const $size:ident: usize>)? ($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$about])*
        #[allow(clippy::too_many_arguments)]
        $visible unsafe fn $name$(<const $size: usize>)?($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            unsafe fn body$(<const $size: usize>)?($($arg: $type),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                unsafe fn avx2$(<const $size: usize>)?($($arg: $type),*) $(-> $result)? { body$(::<$size>)?($($arg),*) }
                #[target_feature(enable = "avx512f,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                unsafe fn avx512$(<const $size: usize>)?($($arg: $type),*) $(-> $result)? { body$(::<$size>)?($($arg),*) }
                match $crate::isa::isa() {
                    $crate::isa::Isa::Avx512 => return avx512$(::<$size>)?($($arg),*),
                    $crate::isa::Isa::Avx2 => return avx2$(::<$size>)?($($arg),*),
                    $crate::isa::Isa::Portable => {}
                }
            }
            body$(::<$size>)?($($arg),*)
        }
    };
}
