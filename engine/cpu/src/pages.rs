//! Large memory straight from Linux: zeros that nobody writes, in huge pages where the system has them, given back at once.
//! Through the allocator the zeros of a matrix would be written by one thread, with a page fault every 4 KiB: a sixth of the time
//! of a repair.

use libc::{MADV_HUGEPAGE, MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, PROT_READ, PROT_WRITE};

/// From this many bytes on; two huge pages.
pub const LEAST: usize = 4 << 20;

/// `bytes` of zeros; null when the system refuses.
pub fn map(bytes: usize) -> *mut u8 {
    unsafe {
        let at = libc::mmap(std::ptr::null_mut(), bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if at == MAP_FAILED {
            return std::ptr::null_mut();
        }
        // A wish: where it is refused, pages are small ones.
        libc::madvise(at, bytes, MADV_HUGEPAGE);
        at.cast()
    }
}

/// Give back what `map(bytes)` returned.
pub unsafe fn unmap(at: *mut u8, bytes: usize) {
    libc::munmap(at.cast(), bytes);
}
