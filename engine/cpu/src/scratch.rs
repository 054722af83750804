//! Working memory that can be refused.

use crate::block::Failure;
#[cfg(target_os = "linux")]
use crate::pages;
use std::alloc::{alloc, alloc_zeroed, dealloc, Layout};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::{Mutex, MutexGuard};

/// Every buffer begins on a cache line.
const ALIGNMENT: usize = 64;

/// Uninitialised working memory for numbers of type T.
pub struct Scratch<T = f32> {
    buffer: Buffer,
    holds: PhantomData<T>,
}

// Threads work on parts that do not overlap.
unsafe impl<T> Sync for Scratch<T> {}

impl<T> Scratch<T> {
    pub fn new(len: usize) -> Result<Self, Failure> {
        let bytes = len.max(1).checked_mul(size_of::<T>()).ok_or(Failure::OutOfMemory)?;
        let buffer = take_kept(bytes).or_else(|| Buffer::new(bytes)).ok_or(Failure::OutOfMemory)?;
        Ok(Self { buffer, holds: PhantomData })
    }

    pub fn at(&self) -> *mut T {
        self.buffer.at.cast()
    }
}

impl<T> Drop for Scratch<T> {
    fn drop(&mut self) {
        keep(std::mem::replace(&mut self.buffer, Buffer::NONE));
    }
}

/// Freed when dropped.
struct Buffer {
    at: *mut u8,
    bytes: usize,
}

unsafe impl Send for Buffer {}

impl Buffer {
    const NONE: Self = Self { at: std::ptr::null_mut(), bytes: 0 };

    fn new(bytes: usize) -> Option<Self> {
        let at = with_kept_to_spare(|| take(bytes, alloc));
        Some(Self { at: at?, bytes })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !self.at.is_null() {
            unsafe { free(self.at, self.bytes) }
        }
    }
}

/// Buffers that operations have done with, for the next ones: fresh memory costs a page fault every 4 KiB, in small products as much
/// time as the product. None in WebAssembly, whose memory stays its own, and where they would part the last free megabytes.
static KEPT: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());

const MOST_KEPT: usize = 4;
const MOST_KEPT_BYTES: usize = if cfg!(target_arch = "wasm32") { 0 } else { 32 << 20 };

fn kept() -> MutexGuard<'static, Vec<Buffer>> {
    KEPT.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The smallest kept buffer of at least `bytes`.
fn take_kept(bytes: usize) -> Option<Buffer> {
    let mut kept = kept();
    let fits = |&i: &usize| kept[i].bytes >= bytes;
    let best = (0..kept.len()).filter(fits).min_by_key(|&i| kept[i].bytes)?;
    Some(kept.swap_remove(best))
}

fn keep(buffer: Buffer) {
    if buffer.bytes <= MOST_KEPT_BYTES {
        let mut kept = kept();
        if kept.len() == MOST_KEPT {
            kept.remove(0);
        }
        kept.push(buffer);
    }
}

/// Matrices that were given back, for the next ones of the very same size, which the linears of a model have again and again: to write
/// zeros over warm memory costs a fraction of the page faults of fresh one. Larger ones have huge pages and few faults. The oldest
/// first; none in WebAssembly.
static RETURNED: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());

const LEAST_RETURNED: usize = 64 << 10;
const ABOVE_RETURNED: usize = if cfg!(target_arch = "wasm32") { 0 } else { 4 << 20 };
const MOST_RETURNED_BYTES: usize = 16 << 20;

fn returned() -> MutexGuard<'static, Vec<Buffer>> {
    RETURNED.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A returned buffer of this size, with zeros written over it.
fn take_returned(bytes: usize) -> Option<*mut u8> {
    let mut returned = returned();
    let place = returned.iter().rposition(|buffer| buffer.bytes == bytes)?;
    let buffer = ManuallyDrop::new(returned.remove(place));
    drop(returned);
    unsafe { buffer.at.write_bytes(0, bytes) };
    Some(buffer.at)
}

/// Memory by `get`; when that is short, once more without the kept buffers.
fn with_kept_to_spare(get: impl Fn() -> Option<*mut u8>) -> Option<*mut u8> {
    let got = || get().filter(|at| !at.is_null());
    got().or_else(|| {
        kept().clear();
        returned().clear();
        got()
    })
}

fn layout_of(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes, ALIGNMENT).ok()
}

/// `bytes` (at least 1) of zeros for a matrix; null when memory is short.
pub fn alloc_zeros(bytes: usize) -> *mut u8 {
    take_returned(bytes)
        .or_else(|| with_kept_to_spare(|| take(bytes, alloc_zeroed)))
        .unwrap_or(std::ptr::null_mut())
}

/// Keep what `alloc_zeros(bytes)` returned for the next matrix of its size, up to a limit of all that is kept, or free it.
pub unsafe fn give_back(at: *mut u8, bytes: usize) {
    let buffer = Buffer { at, bytes };
    if !(LEAST_RETURNED..ABOVE_RETURNED).contains(&bytes) {
        return;
    }
    let mut returned = returned();
    returned.push(buffer);
    let mut held: usize = returned.iter().map(|buffer| buffer.bytes).sum();
    while held > MOST_RETURNED_BYTES {
        held -= returned.remove(0).bytes;
    }
}

/// Small memory by `small`, large memory of zeros from the system.
fn take(bytes: usize, small: unsafe fn(Layout) -> *mut u8) -> Option<*mut u8> {
    #[cfg(target_os = "linux")]
    if bytes >= pages::LEAST {
        return Some(pages::map(bytes));
    }
    layout_of(bytes).filter(|_| bytes > 0).map(|layout| unsafe { small(layout) })
}

/// Give memory of `take(bytes)` back to where it came from.
unsafe fn free(at: *mut u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    if bytes >= pages::LEAST {
        return pages::unmap(at, bytes);
    }
    dealloc(at, Layout::from_size_align_unchecked(bytes, ALIGNMENT));
}
