//! Plain kernels for dense algebra and transformer layers on one core. They work on raw memory and know nothing of who calls them:
//! the `wasm` crate is a thin skin over them, and a C ABI can be another.
//!
//! Every function here is deterministic: the same input gives the same bytes.

pub mod attention;
pub mod block;
pub mod cholesky;
pub mod eigh;
pub mod elementwise;
mod exp;
mod fold;
pub mod gemm;
pub mod half;
mod micro;
pub mod model;
mod pack;
pub mod scratch;
mod skinny;
mod small;
pub mod triangular;
// Its parameters stand one matrix a line.
#[cfg(target_arch = "wasm32")]
#[rustfmt::skip]
mod wasm;
