//! Independent pieces of work, on the threads of the pool that the caller installed, or one after the other.

use crate::block::Outcome;
#[cfg(not(target_arch = "wasm32"))]
use std::cell::Cell;
use std::sync::Mutex;

#[cfg(not(target_arch = "wasm32"))]
thread_local! {
    /// Every thread has such a piece in hand, so none is free to help within one.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// How many threads `for_each` may use here.
pub fn count() -> usize {
    #[cfg(not(target_arch = "wasm32"))]
    if BUSY.get() {
        return 1;
    }
    #[cfg(not(target_arch = "wasm32"))]
    return if rayon::current_thread_index().is_some() { rayon::current_num_threads() } else { 1 };
    #[cfg(target_arch = "wasm32")]
    1
}

/// Which of `count` threads runs this piece of work.
pub fn slot() -> usize {
    #[cfg(not(target_arch = "wasm32"))]
    if count() > 1 {
        return rayon::current_thread_index().unwrap_or(0);
    }
    0
}

/// Run work(0) … work(n − 1), in any order and side by side. Pieces must write apart; then the result is the same on any number of
/// threads.
pub fn for_each(n: usize, work: impl Fn(usize) + Send + Sync) {
    #[cfg(not(target_arch = "wasm32"))]
    if n > 1 && count() > 1 {
        use rayon::prelude::*;
        return (0..n).into_par_iter().with_max_len(1).for_each(work);
    }
    (0..n).for_each(work);
}

/// As `for_each`, for pieces that may fail, and of which there are enough that each is work for one thread alone. A failure of any
/// piece is returned when all have ended.
pub fn try_each(n: usize, work: impl Fn(usize) -> Outcome + Sync) -> Outcome {
    let alone = n >= count();
    let failure = Mutex::new(None);
    for_each(n, |piece| {
        if let Err(found) = if alone { busy(|| work(piece)) } else { work(piece) } {
            failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get_or_insert(found);
        }
    });
    failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).map_or(Ok(()), Err)
}

/// Do some work with this thread alone.
fn busy<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(not(target_arch = "wasm32"))]
    {
        /// Resets the mark when a panic unwinds, too.
        struct Reset(bool);
        impl Drop for Reset {
            fn drop(&mut self) {
                BUSY.set(self.0);
            }
        }
        let _reset = Reset(BUSY.replace(true));
        return work();
    }
    #[cfg(target_arch = "wasm32")]
    work()
}

/// Run work(first, length) on pieces of 0..n, as many as there are threads but none shorter than `least` (at least `GRAIN`).
pub fn by_pieces(n: usize, least: usize, work: impl Fn(usize, usize) -> Outcome + Sync) -> Outcome {
    let most = (n / least).clamp(1, count());
    if most == 1 {
        return work(0, n);
    }
    let length = n / most / GRAIN * GRAIN;
    try_each(most, |piece| {
        let first = piece * length;
        work(first, if piece + 1 == most { n - first } else { length })
    })
}

/// Pieces begin at multiples of it: whole tiles of every instruction set.
pub const GRAIN: usize = 48;

/// For faer: that many pieces, on the threads that there are.
pub fn faer_split(pieces: usize) -> faer::Par {
    #[cfg(not(target_arch = "wasm32"))]
    return faer::Par::rayon(pieces);
    #[cfg(target_arch = "wasm32")]
    {
        let _ = pieces;
        faer::Par::Seq
    }
}
