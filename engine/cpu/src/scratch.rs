//! Working memory that can be refused.

use crate::block::Failure;
use std::alloc::{alloc, alloc_zeroed, dealloc, Layout};

/// Every buffer begins on a cache line.
const ALIGNMENT: usize = 64;

/// Uninitialised working memory for `f32` numbers, freed when dropped.
pub struct Scratch {
    at: *mut f32,
    layout: Layout,
}

impl Scratch {
    pub fn new(len: usize) -> Result<Self, Failure> {
        let layout = layout_of(len.max(1).checked_mul(4)).ok_or(Failure::OutOfMemory)?;
        let at = unsafe { alloc(layout) }.cast::<f32>();
        if at.is_null() {
            return Err(Failure::OutOfMemory);
        }
        Ok(Self { at, layout })
    }

    pub fn at(&self) -> *mut f32 {
        self.at
    }
}

impl Drop for Scratch {
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
