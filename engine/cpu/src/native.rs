//! The C ABI of engine/include/safedelta.h over the kernels. TypeScript has checked all shapes; a panic becomes a status.

use crate::attention::{self, Heads};
use crate::block::{Block, Failure, Outcome};
use crate::{cholesky, eigh, elementwise, gemm, half, model, scratch, skinny, threads, triangular};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};

#[rustfmt::skip]
mod training;

const ABI_VERSION: i32 = 2;
const FAILED: i32 = -4;
const UNAVAILABLE: i32 = -5;

pub struct Engine {
    pool: ThreadPool,
}

thread_local! {
    static LAST_ERROR: RefCell<String> = const { RefCell::new(String::new()) };
}

fn fail(code: i32, text: String) -> i32 {
    LAST_ERROR.with(|last| *last.borrow_mut() = text);
    code
}

fn status(outcome: Outcome) -> i32 {
    match outcome {
        Ok(()) => 0,
        Err(Failure::Pivot(row)) => fail(row as i32 + 1, format!("bad pivot in row {row}")),
        Err(Failure::OutOfMemory) => fail(-1, "no room for working memory".into()),
        Err(Failure::NotFinite) => fail(-2, "NaN or infinity".into()),
        Err(Failure::NoConvergence) => fail(-3, "the iteration did not converge".into()),
    }
}

/// Run `work`, on the engine's threads or, since waking them costs more than little work, on this one.
unsafe fn guarded(engine: *const Engine, multiplications: usize, work: impl FnOnce() -> Outcome + Send) -> i32 {
    let run = || if multiplications < WORTH_WAKING { work() } else { (*engine).pool.install(work) };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(outcome) => status(outcome),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
            fail(FAILED, format!("the library panicked: {}", text.unwrap_or_default()))
        }
    }
}

/// Multiplications of about 100 microseconds on one core.
const WORTH_WAKING: usize = 4 << 20;

unsafe fn put_text(text: &str, to: *mut c_char, capacity: i32) -> i32 {
    let length = text.len().min(capacity.max(1) as usize - 1);
    if capacity > 0 {
        std::ptr::copy_nonoverlapping(text.as_ptr(), to.cast(), length);
        *to.add(length) = 0;
    }
    0
}

#[no_mangle]
pub extern "C" fn sd_abi_version() -> i32 {
    ABI_VERSION
}

#[no_mangle]
pub unsafe extern "C" fn sd_last_error(text: *mut c_char, capacity: i32) -> i32 {
    LAST_ERROR.with(|last| put_text(&last.borrow(), text, capacity))
}

#[no_mangle]
pub unsafe extern "C" fn sd_open(number: i32, _folder: *const c_char, engine: *mut *mut Engine) -> i32 {
    match ThreadPoolBuilder::new().num_threads(number.max(0) as usize).build() {
        Ok(pool) => {
            *engine = Box::into_raw(Box::new(Engine { pool }));
            0
        }
        Err(error) => fail(UNAVAILABLE, format!("no threads: {error}")),
    }
}

#[no_mangle]
pub unsafe extern "C" fn sd_close(engine: *mut Engine) -> i32 {
    drop(Box::from_raw(engine));
    0
}

#[no_mangle]
pub unsafe extern "C" fn sd_describe(engine: *mut Engine, text: *mut c_char, capacity: i32, threads: *mut i32) -> i32 {
    *threads = (*engine).pool.current_num_threads() as i32;
    put_text(&format!("native CPU code with {}", crate::isa::name()), text, capacity)
}

/// What the process may still take is not known here: both are 0.
#[no_mangle]
pub unsafe extern "C" fn sd_memory(_engine: *mut Engine, free_bytes: *mut f64, total_bytes: *mut f64) -> i32 {
    *free_bytes = 0.0;
    *total_bytes = 0.0;
    0
}

#[no_mangle]
pub unsafe extern "C" fn sd_alloc(_engine: *mut Engine, bytes: u64, address: *mut u64) -> i32 {
    let at = scratch::alloc_zeros(bytes.max(1) as usize);
    if at.is_null() {
        return fail(-1, format!("no room for {bytes} bytes"));
    }
    *address = at as u64;
    0
}

#[no_mangle]
pub unsafe extern "C" fn sd_free(_engine: *mut Engine, address: *mut u8, bytes: u64) -> i32 {
    scratch::give_back(address, bytes.max(1) as usize);
    0
}

#[no_mangle]
pub unsafe extern "C" fn sd_write(
    _engine: *mut Engine, to: *mut u8, pitch_bytes: u64, from: *const c_void, row_bytes: u64, rows: i32,
) -> i32 {
    copy_rows(from.cast(), row_bytes, to, pitch_bytes, row_bytes, rows)
}

#[no_mangle]
pub unsafe extern "C" fn sd_read(
    _engine: *mut Engine, from: *const u8, pitch_bytes: u64, to: *mut c_void, row_bytes: u64, rows: i32,
) -> i32 {
    copy_rows(from, pitch_bytes, to.cast(), row_bytes, row_bytes, rows)
}

unsafe fn copy_rows(from: *const u8, from_pitch: u64, to: *mut u8, to_pitch: u64, row_bytes: u64, rows: i32) -> i32 {
    for i in 0..rows as usize {
        let (from, to) = (from.add(i * from_pitch as usize), to.add(i * to_pitch as usize));
        std::ptr::copy_nonoverlapping(from, to, row_bytes as usize);
    }
    0
}

#[no_mangle]
pub unsafe extern "C" fn sd_convert(
    _engine: *mut Engine,
    src: *const u8, src_dtype: i32, src_stride: i32,
    dst: *mut u8, dst_dtype: i32, dst_stride: i32,
    rows: i32, cols: i32,
) -> i32 {
    let (src_dtype, src_stride) = (src_dtype as u32, src_stride as usize);
    let (dst_dtype, dst_stride) = (dst_dtype as u32, dst_stride as usize);
    elementwise::convert(src, src_dtype, src_stride, dst, dst_dtype, dst_stride, rows as usize, cols as usize);
    0
}

#[no_mangle]
pub unsafe extern "C" fn sd_fill(
    _engine: *mut Engine, m: *mut u8, dtype: i32, rows: i32, cols: i32, stride: i32, value: f32,
) -> i32 {
    let (rows, cols, stride) = (rows as usize, cols as usize, stride as usize);
    match dtype {
        0 => elementwise::fill_f32(m.cast(), rows, cols, stride, value),
        1 => elementwise::fill_u16(m.cast(), rows, cols, stride, half::f32_to_f16(value)),
        _ => elementwise::fill_u16(m.cast(), rows, cols, stride, half::f32_to_bf16(value)),
    }
    0
}

fn matrix(at: *mut f32, rows: i32, cols: i32, stride: i32) -> Block {
    Block::row_major(at, rows as usize, cols as usize, stride as usize)
}

fn oriented(at: *mut f32, rows: i32, cols: i32, stride: i32, transposed: i32) -> Block {
    let block = matrix(at, rows, cols, stride);
    if transposed != 0 { block.transposed() } else { block }
}

/// Run work(first, rows) on pieces of a matrix's rows, side by side where that is worth it: `cost` multiplications an element.
unsafe fn by_rows(engine: *const Engine, rows: i32, cols: i32, cost: usize, work: impl Fn(usize, usize) + Send + Sync) -> i32 {
    guarded(engine, product([rows, cols, 1]) * cost, || {
        threads::by_pieces(rows as usize, 1, |first, rows| {
            work(first, rows);
            Ok(())
        })
    })
}

/// What an element of memory-bound work costs, and one with an exponential in it.
const COPIED: usize = 4;
const RAISED: usize = 32;

fn product(sizes: [i32; 3]) -> usize {
    sizes.iter().map(|&n| n as usize).product()
}

#[no_mangle]
pub unsafe extern "C" fn sd_gemm(
    engine: *mut Engine,
    alpha: f32,
    a: *mut f32, a_rows: i32, a_cols: i32, a_stride: i32, trans_a: i32,
    b: *mut f32, b_rows: i32, b_cols: i32, b_stride: i32, trans_b: i32,
    beta: f32,
    c: *mut f32, c_rows: i32, c_cols: i32, c_stride: i32,
) -> i32 {
    let a = oriented(a, a_rows, a_cols, a_stride, trans_a);
    let b = oriented(b, b_rows, b_cols, b_stride, trans_b);
    let c = matrix(c, c_rows, c_cols, c_stride);
    guarded(engine, skinny::cost(c.rows, c.cols, a.cols), || gemm::gemm(alpha, a, b, beta, c))
}

#[no_mangle]
pub unsafe extern "C" fn sd_syrk(
    engine: *mut Engine, alpha: f32, a: *mut f32, rows: i32, cols: i32, stride: i32, beta: f32, c: *mut f32, c_stride: i32,
) -> i32 {
    let (a, c) = (matrix(a, rows, cols, stride).transposed(), matrix(c, cols, cols, c_stride));
    guarded(engine, product([rows, cols, cols]), || gemm::syrk(alpha, a, beta, c))
}

#[no_mangle]
pub unsafe extern "C" fn sd_mirror(_engine: *mut Engine, m: *mut f32, n: i32, stride: i32) -> i32 {
    elementwise::mirror(m, n as usize, stride as usize);
    0
}

#[no_mangle]
pub unsafe extern "C" fn sd_cholesky_reverse(engine: *mut Engine, h: *mut f32, n: i32, stride: i32) -> i32 {
    let h = matrix(h, n, n, stride);
    guarded(engine, product([n, n, n]), || cholesky::cholesky_reverse(h))
}

#[no_mangle]
pub unsafe extern "C" fn sd_invert_triangle(engine: *mut Engine, r: *mut f32, n: i32, stride: i32) -> i32 {
    let r = matrix(r, n, n, stride);
    guarded(engine, product([n, n, n]), || triangular::invert(r))
}

#[no_mangle]
pub unsafe extern "C" fn sd_trmm(
    engine: *mut Engine, b: *mut f32, rows: i32, n: i32, stride: i32, r: *mut f32, r_stride: i32, trans_r: i32,
) -> i32 {
    let (b, r) = (matrix(b, rows, n, stride), matrix(r, n, n, r_stride));
    guarded(engine, product([rows, n, n]), || triangular::trmm(b, r, trans_r != 0))
}

#[no_mangle]
pub unsafe extern "C" fn sd_trsm(
    engine: *mut Engine, b: *mut f32, rows: i32, n: i32, stride: i32, r: *mut f32, r_stride: i32, trans_r: i32,
) -> i32 {
    let (b, r) = (matrix(b, rows, n, stride), matrix(r, n, n, r_stride));
    guarded(engine, product([rows, n, n]), || triangular::trsm(b, r, trans_r != 0))
}

#[no_mangle]
pub unsafe extern "C" fn sd_eigh(
    engine: *mut Engine, h: *mut f32, n: i32, stride: i32, values: *mut f64, vectors: *mut f32, vectors_stride: i32,
) -> i32 {
    let (h, vectors) = (matrix(h, n, n, stride), matrix(vectors, n, n, vectors_stride));
    let values = std::slice::from_raw_parts_mut(values, n as usize);
    guarded(engine, product([n, n, n]), || eigh::eigh(h, values.as_mut_ptr(), vectors))
}

#[no_mangle]
pub unsafe extern "C" fn sd_add(
    engine: *mut Engine, alpha: f32, a: *mut f32, a_stride: i32, c: *mut f32, c_stride: i32, rows: i32, cols: i32,
) -> i32 {
    let (a, c) = (matrix(a, rows, cols, a_stride), matrix(c, rows, cols, c_stride));
    by_rows(engine, rows, cols, COPIED, |first, n| {
        let (a, c) = (a.part(first, 0, n, a.cols), c.part(first, 0, n, c.cols));
        elementwise::add(alpha, a.at, a_stride as usize, c.at, c_stride as usize, n, c.cols);
    })
}

#[no_mangle]
pub unsafe extern "C" fn sd_scale_cols(
    _engine: *mut Engine, m: *mut f32, rows: i32, cols: i32, stride: i32, factors: *const f32,
) -> i32 {
    elementwise::scale_cols(m, rows as usize, cols as usize, stride as usize, factors);
    0
}

#[no_mangle]
pub unsafe extern "C" fn sd_column_squares(
    _engine: *mut Engine, m: *const f32, rows: i32, cols: i32, stride: i32, sums: *mut f64,
) -> i32 {
    elementwise::column_squares(m, rows as usize, cols as usize, stride as usize, sums);
    0
}

#[no_mangle]
pub unsafe extern "C" fn sd_gather(
    _engine: *mut Engine,
    item_bytes: i32,
    src: *const u8, src_stride: i32,
    rows: *const i32, cols: *const i32,
    dst: *mut u8, dst_stride: i32,
    n_rows: i32, n_cols: i32,
) -> i32 {
    let (src_stride, dst_stride) = (src_stride as usize, dst_stride as usize);
    elementwise::gather(item_bytes as usize, src, src_stride, rows, cols, dst, dst_stride, n_rows as usize, n_cols as usize);
    0
}

#[no_mangle]
pub unsafe extern "C" fn sd_scatter(
    _engine: *mut Engine,
    item_bytes: i32,
    src: *const u8, src_stride: i32,
    rows: *const i32, cols: *const i32,
    dst: *mut u8, dst_stride: i32,
    n_rows: i32, n_cols: i32,
) -> i32 {
    let (src_stride, dst_stride) = (src_stride as usize, dst_stride as usize);
    elementwise::scatter(item_bytes as usize, src, src_stride, rows, cols, dst, dst_stride, n_rows as usize, n_cols as usize);
    0
}

#[no_mangle]
pub unsafe extern "C" fn sd_rms_norm(
    engine: *mut Engine,
    x: *mut f32, x_stride: i32,
    weight: *mut f32, eps: f32, offset: f32,
    out: *mut f32, out_stride: i32,
    rows: i32, cols: i32,
) -> i32 {
    let (x, out) = (matrix(x, rows, cols, x_stride), matrix(out, rows, cols, out_stride));
    let weight = matrix(weight, 1, cols, cols);
    by_rows(engine, rows, cols, COPIED, |first, n| {
        let (x, out) = (x.part(first, 0, n, x.cols), out.part(first, 0, n, x.cols));
        model::rms_norm(x.at, x_stride as usize, weight.address(0, 0), eps, offset, out.at, out_stride as usize, n, x.cols);
    })
}

#[no_mangle]
pub unsafe extern "C" fn sd_add_bias(
    _engine: *mut Engine, x: *mut f32, rows: i32, cols: i32, stride: i32, bias: *const f32,
) -> i32 {
    elementwise::add_bias(x, rows as usize, cols as usize, stride as usize, bias);
    0
}

#[no_mangle]
pub unsafe extern "C" fn sd_rotary(
    _engine: *mut Engine,
    x: *mut f32, rows: i32, cols: i32, x_stride: i32,
    cos: *const f32, cos_stride: i32,
    sin: *const f32, sin_stride: i32,
    head_dim: i32,
) -> i32 {
    let (rows, cols, head_dim) = (rows as usize, cols as usize, head_dim as usize);
    model::rotary(x, rows, cols, x_stride as usize, cos, cos_stride as usize, sin, sin_stride as usize, head_dim);
    0
}

#[no_mangle]
pub unsafe extern "C" fn sd_attention(
    engine: *mut Engine,
    q: *mut f32, q_stride: i32, n: i32,
    k: *mut f32, k_stride: i32,
    v: *mut f32, v_stride: i32, total: i32,
    n_heads: i32, n_kv_heads: i32, head_dim: i32, scale: f32,
    out: *mut f32, out_stride: i32,
) -> i32 {
    let (cols, kv_cols) = (n_heads * head_dim, n_kv_heads * head_dim);
    let (q, out) = (matrix(q, n, cols, q_stride), matrix(out, n, cols, out_stride));
    let (k, v) = (matrix(k, total, kv_cols, k_stride), matrix(v, total, kv_cols, v_stride));
    let heads = Heads { n_heads: n_heads as usize, n_kv_heads: n_kv_heads as usize, head_dim: head_dim as usize };
    guarded(engine, 2 * product([n, total, cols]), || attention::attention(q, k, v, heads, scale, out))
}

#[no_mangle]
pub unsafe extern "C" fn sd_gated(
    engine: *mut Engine, kind: i32, gate: *mut f32, gate_stride: i32, up: *mut f32, up_stride: i32, rows: i32, cols: i32,
) -> i32 {
    let (gate, up) = (matrix(gate, rows, cols, gate_stride), matrix(up, rows, cols, up_stride));
    by_rows(engine, rows, cols, RAISED, |first, n| {
        let (gate, up) = (gate.part(first, 0, n, gate.cols), up.part(first, 0, n, up.cols));
        model::gated(kind as u32, gate.at, gate_stride as usize, up.at, up_stride as usize, n, gate.cols);
    })
}
