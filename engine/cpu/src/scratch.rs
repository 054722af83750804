//! Working memory that can be refused.

use crate::block::Failure;
use std::alloc::{alloc, alloc_zeroed, dealloc, Layout};

/// Every buffer begins on a cache line.
const ALIGNMENT: usize = 64;

/// Uninitialised working memory for numbers of type T, freed when dropped.
pub struct Scratch<T = f32> {
    at: *mut T,
    layout: Layout,
}

// Threads work on parts that do not overlap.
unsafe impl<T> Sync for Scratch<T> {}

impl<T> Scratch<T> {
    pub fn new(len: usize) -> Result<Self, Failure> {
        let layout = layout_of(len.max(1).checked_mul(size_of::<T>())).ok_or(Failure::OutOfMemory)?;
        let at = unsafe { alloc(layout) }.cast::<T>();
        if at.is_null() {
            return Err(Failure::OutOfMemory);
        }
        Ok(Self { at, layout })
    }

    pub fn at(&self) -> *mut T {
        self.at
    }
}

impl<T> Drop for Scratch<T> {
    fn drop(&mut self) {
        unsafe { dealloc(self.at.cast(), self.layout) }
    }
}

fn layout_of(bytes: Option<usize>) -> Option<Layout> {
    Layout::from_size_align(bytes?, ALIGNMENT).ok()
}

/// `bytes` (at least 1) of zeros for a matrix; null when memory is short.
pub fn alloc_zeros(bytes: usize) -> *mut u8 {
    match layout_of(Some(bytes)) {
        Some(layout) if bytes > 0 => unsafe { alloc_zeroed(layout) },
        _ => std::ptr::null_mut(),
    }
}

/// Give back what `alloc_zeros(bytes)` returned.
pub unsafe fn free(at: *mut u8, bytes: usize) {
    dealloc(at, Layout::from_size_align_unchecked(bytes, ALIGNMENT));
}
