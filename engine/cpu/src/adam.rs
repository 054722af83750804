//! AdamW (Loshchilov and Hutter, arXiv 1711.05101), element by element as PyTorch does it.

use crate::block::Block;
use crate::half::{bf16_to_f32, f32_to_bf16};

/// Numbers that are the same for every element; engine/src/adamW.ts says what each is.
#[derive(Clone, Copy)]
pub struct Factors {
    pub decay: f32,
    pub rate1: f32,
    pub beta2: f32,
    pub rate2: f32,
    pub step_size: f32,
    pub correction: f32,
    pub eps: f32,
    pub scale: f32,
}

/// Parameters that are widened together.
const STRIP: usize = 256;

/// Parameters in f32 or bf16, `stride` elements from row to row.
#[derive(Clone, Copy)]
pub struct Param {
    at: *mut u8,
    is_f32: bool,
    stride: usize,
}

// Threads work on rows that do not overlap.
unsafe impl Send for Param {}
unsafe impl Sync for Param {}

impl Param {
    /// dtype: 0 f32, 2 bf16.
    pub fn new(at: *mut u8, dtype: u32, stride: usize) -> Self {
        Self { at, is_f32: dtype == 0, stride }
    }

    /// The rows from `first` on.
    pub unsafe fn from(&self, first: usize) -> Self {
        Self { at: self.at.add(first * self.stride * if self.is_f32 { 4 } else { 2 }), ..*self }
    }
}

/// One step on grad.rows x grad.cols parameters.
pub unsafe fn step(param: Param, grad: Block, m: Block, v: Block, factors: Factors) {
    let cols = grad.cols;
    for i in 0..grad.rows {
        let (at, grad, m, v) = (param.from(i).at, grad.address(i, 0), m.address(i, 0), v.address(i, 0));
        if param.is_f32 {
            step_f32(at.cast(), grad, m, v, cols, factors);
        } else {
            step_bf16(at.cast(), grad, m, v, cols, factors);
        }
    }
}

widest! {
/// One step on a row of f32 parameters.
unsafe fn step_f32(param: *mut f32, grad: *const f32, m: *mut f32, v: *mut f32, n: usize, factors: Factors) {
    update(std::slice::from_raw_parts_mut(param, n), grad, m, v, factors);
}
}

widest! {
/// One step on a row of bf16 parameters, in f32; what comes out is rounded to nearest even.
unsafe fn step_bf16(param: *mut u16, grad: *const f32, m: *mut f32, v: *mut f32, n: usize, factors: Factors) {
    let mut wide = [0.0; STRIP];
    for j in (0..n).step_by(STRIP) {
        let here = std::slice::from_raw_parts_mut(param.add(j), STRIP.min(n - j));
        let wide = &mut wide[..here.len()];
        for (to, bits) in wide.iter_mut().zip(here.iter()) {
            *to = bf16_to_f32(*bits);
        }
        update(wide, grad.add(j), m.add(j), v.add(j), factors);
        for (to, value) in here.iter_mut().zip(wide.iter()) {
            *to = f32_to_bf16(*value);
        }
    }
}
}

/// The step on param.len() elements.
#[inline(always)]
unsafe fn update(param: &mut [f32], grad: *const f32, m: *mut f32, v: *mut f32, f: Factors) {
    let n = param.len();
    let grad = std::slice::from_raw_parts(grad, n);
    let (m, v) = (std::slice::from_raw_parts_mut(m, n), std::slice::from_raw_parts_mut(v, n));
    for (((p, g), m), v) in param.iter_mut().zip(grad).zip(m).zip(v) {
        let g = f.scale * g;
        *m += f.rate1 * (g - *m);
        *v = *v * f.beta2 + f.rate2 * g * g;
        *p = *p * f.decay - f.step_size * (*m / (v.sqrt() / f.correction + f.eps));
    }
}
