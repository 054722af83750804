//! Squares of 4 x 4 numbers in registers, by which rows become columns.

/// Side of a square: one 128-bit vector.
pub const SIDE: usize = 4;

/// Write the transpose of the square at `from`, whose rows lie `step` elements apart, to `to`, row after row `stride` apart.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
pub unsafe fn transpose(from: *const f32, step: isize, to: *mut f32, stride: isize) {
    use core::arch::x86_64::*;
    let row = |i: isize| _mm_loadu_ps(from.offset(i * step));
    let (mut a, mut b, mut c, mut d) = (row(0), row(1), row(2), row(3));
    _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
    for (i, row) in [a, b, c, d].into_iter().enumerate() {
        _mm_storeu_ps(to.offset(i as isize * stride), row);
    }
}

#[inline(always)]
#[cfg(not(target_arch = "x86_64"))]
pub unsafe fn transpose(from: *const f32, step: isize, to: *mut f32, stride: isize) {
    let row = |i: usize| *from.offset(i as isize * step).cast::<[f32; SIDE]>();
    let rows = [row(0), row(1), row(2), row(3)];
    for i in 0..SIDE {
        *to.offset(i as isize * stride).cast::<[f32; SIDE]>() = rows.map(|values| values[i]);
    }
}
