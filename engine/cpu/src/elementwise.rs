//! Operations on single elements, rows and indices. A matrix is (pointer, rows, cols, stride), its stride in elements.

use crate::half::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};

/// Storage types as they cross the border.
const F32: u32 = 0;
const F16: u32 = 1;

/// Columns that are copied together, so that both sides of a transposition stay in cache.
const TILE: usize = 32;

#[inline(always)]
unsafe fn load(m: *const u8, dtype: u32, at: usize) -> f32 {
    match dtype {
        F32 => *m.cast::<f32>().add(at),
        F16 => f16_to_f32(*m.cast::<u16>().add(at)),
        _ => bf16_to_f32(*m.cast::<u16>().add(at)),
    }
}

#[inline(always)]
unsafe fn store(m: *mut u8, dtype: u32, at: usize, value: f32) {
    match dtype {
        F32 => *m.cast::<f32>().add(at) = value,
        F16 => *m.cast::<u16>().add(at) = f32_to_f16(value),
        _ => *m.cast::<u16>().add(at) = f32_to_bf16(value),
    }
}

widest! {
/// dst := src, each in its own storage type (0 f32, 1 f16, 2 bf16), to nearest even. Same type: bit for bit.
#[allow(clippy::too_many_arguments)]
pub unsafe fn convert(
    src: *const u8,
    src_dtype: u32,
    src_stride: usize,
    dst: *mut u8,
    dst_dtype: u32,
    dst_stride: usize,
    rows: usize,
    cols: usize,
) {
    if src_dtype == dst_dtype {
        let size = if src_dtype == F32 { 4 } else { 2 };
        for i in 0..rows {
            core::ptr::copy_nonoverlapping(src.add(i * src_stride * size), dst.add(i * dst_stride * size), cols * size);
        }
        return;
    }
    for i in 0..rows {
        for j in 0..cols {
            store(dst, dst_dtype, i * dst_stride + j, load(src, src_dtype, i * src_stride + j));
        }
    }
}
}

/// m := value.
pub unsafe fn fill_f32(m: *mut f32, rows: usize, cols: usize, stride: usize, value: f32) {
    for i in 0..rows {
        core::slice::from_raw_parts_mut(m.add(i * stride), cols).fill(value);
    }
}

/// m := value, a bit pattern of f16 or bf16.
pub unsafe fn fill_u16(m: *mut u16, rows: usize, cols: usize, stride: usize, value: u16) {
    for i in 0..rows {
        core::slice::from_raw_parts_mut(m.add(i * stride), cols).fill(value);
    }
}

/// Lower triangle of m (n x n) := transposed upper triangle.
pub unsafe fn mirror(m: *mut f32, n: usize, stride: usize) {
    for top in (0..n).step_by(TILE) {
        for left in (top..n).step_by(TILE) {
            for i in top..(top + TILE).min(n) {
                for j in left.max(i + 1)..(left + TILE).min(n) {
                    *m.add(j * stride + i) = *m.add(i * stride + j);
                }
            }
        }
    }
}

widest! {
/// C := alpha · A + C.
pub unsafe fn add(alpha: f32, a: *const f32, a_stride: usize, c: *mut f32, c_stride: usize, rows: usize, cols: usize) {
    for i in 0..rows {
        let from = core::slice::from_raw_parts(a.add(i * a_stride), cols);
        let into = core::slice::from_raw_parts_mut(c.add(i * c_stride), cols);
        for (x, y) in from.iter().zip(into) {
            *y += alpha * x;
        }
    }
}
}

widest! {
/// Column j of m := factors[j] · column j.
pub unsafe fn scale_cols(m: *mut f32, rows: usize, cols: usize, stride: usize, factors: *const f32) {
    let factors = core::slice::from_raw_parts(factors, cols);
    for i in 0..rows {
        let row = core::slice::from_raw_parts_mut(m.add(i * stride), cols);
        for (x, factor) in row.iter_mut().zip(factors) {
            *x *= factor;
        }
    }
}
}

widest! {
/// out[j] := Σ_i m[i][j]², in f64.
pub unsafe fn column_squares(m: *const f32, rows: usize, cols: usize, stride: usize, out: *mut f64) {
    let sums = core::slice::from_raw_parts_mut(out, cols);
    sums.fill(0.0);
    for i in 0..rows {
        let row = core::slice::from_raw_parts(m.add(i * stride), cols);
        for (x, sum) in row.iter().zip(sums.iter_mut()) {
            *sum += *x as f64 * *x as f64;
        }
    }
}
}

widest! {
/// x[i][j] += bias[j].
pub unsafe fn add_bias(x: *mut f32, rows: usize, cols: usize, stride: usize, bias: *const f32) {
    let bias = core::slice::from_raw_parts(bias, cols);
    for i in 0..rows {
        let row = core::slice::from_raw_parts_mut(x.add(i * stride), cols);
        for (value, b) in row.iter_mut().zip(bias) {
            *value += b;
        }
    }
}
}

/// Index number `at` of a list; a null list means every index in order.
#[inline(always)]
unsafe fn index(list: *const i32, at: usize) -> usize {
    if list.is_null() {
        at
    } else {
        *list.add(at) as usize
    }
}

/// dst[i][j] := src[rows[i]][cols[j]] for i < n_rows, j < n_cols, in items of 2 or 4 bytes.
#[allow(clippy::too_many_arguments)]
pub unsafe fn gather(
    item_bytes: usize,
    src: *const u8,
    src_stride: usize,
    rows: *const i32,
    cols: *const i32,
    dst: *mut u8,
    dst_stride: usize,
    n_rows: usize,
    n_cols: usize,
) {
    for i in 0..n_rows {
        let from = src.add(index(rows, i) * src_stride * item_bytes);
        let into = dst.add(i * dst_stride * item_bytes);
        pick(item_bytes, from, cols, into, core::ptr::null(), n_cols);
    }
}

/// dst[rows[i]][cols[j]] := src[i][j] for i < n_rows, j < n_cols, in items of 2 or 4 bytes.
#[allow(clippy::too_many_arguments)]
pub unsafe fn scatter(
    item_bytes: usize,
    src: *const u8,
    src_stride: usize,
    rows: *const i32,
    cols: *const i32,
    dst: *mut u8,
    dst_stride: usize,
    n_rows: usize,
    n_cols: usize,
) {
    for i in 0..n_rows {
        let from = src.add(i * src_stride * item_bytes);
        let into = dst.add(index(rows, i) * dst_stride * item_bytes);
        pick(item_bytes, from, core::ptr::null(), into, cols, n_cols);
    }
}

/// into[into_at[j]] := from[from_at[j]] for one row.
unsafe fn pick(item_bytes: usize, from: *const u8, from_at: *const i32, into: *mut u8, into_at: *const i32, n: usize) {
    if from_at.is_null() && into_at.is_null() {
        core::ptr::copy_nonoverlapping(from, into, n * item_bytes);
    } else if item_bytes == 4 {
        let (from, into) = (from.cast::<u32>(), into.cast::<u32>());
        for j in 0..n {
            *into.add(index(into_at, j)) = *from.add(index(from_at, j));
        }
    } else {
        let (from, into) = (from.cast::<u16>(), into.cast::<u16>());
        for j in 0..n {
            *into.add(index(into_at, j)) = *from.add(index(from_at, j));
        }
    }
}
