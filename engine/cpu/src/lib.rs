//! Plain kernels for dense algebra and transformer layers. They work on raw memory and know nothing of who calls them: `wasm` and
//! `native` are thin skins over them.
//!
//! Every function here is deterministic: the same input gives the same bytes, on any number of threads.

#[macro_use]
mod isa;

pub mod adam;
pub mod attention;
pub mod attention_backward;
pub mod backward;
pub mod block;
pub mod cholesky;
mod dots;
pub mod eigh;
mod eight;
pub mod elementwise;
mod exp;
mod fold;
pub mod gemm;
pub mod half;
pub mod loss;
mod micro;
pub mod model;
mod pack;
#[cfg(target_arch = "x86_64")]
mod pack512;
#[cfg(target_os = "linux")]
mod pages;
mod panel;
pub mod scratch;
mod skinny;
mod small;
mod square;
mod threads;
mod tiles;
pub mod triangular;
mod tridiagonal;
// The parameters of the skins stand one matrix a line.
#[cfg(not(target_arch = "wasm32"))]
#[rustfmt::skip]
mod native;
#[cfg(target_arch = "wasm32")]
#[rustfmt::skip]
mod wasm;
