//! Independent pieces of work, on the threads of the pool that the caller installed, or one after the other.

use crate::block::Outcome;
use std::sync::Mutex;

/// How many threads `for_each` may use here.
pub fn count() -> usize {
    #[cfg(not(target_arch = "wasm32"))]
    return if rayon::current_thread_index().is_some() { rayon::current_num_threads() } else { 1 };
    #[cfg(target_arch = "wasm32")]
    1
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

/// Run work(first, length) on pieces of 0..n, as many as there are threads but none shorter than `least` (at least `GRAIN`). A
/// failure of any piece is returned when all have ended.
pub fn by_pieces(n: usize, least: usize, work: impl Fn(usize, usize) -> Outcome + Sync) -> Outcome {
    let most = (n / least).clamp(1, count());
    if most == 1 {
        return work(0, n);
    }
    let length = n / most / GRAIN * GRAIN;
    let failure = Mutex::new(None);
    for_each(most, |piece| {
        let first = piece * length;
        let rest = if piece + 1 == most { n - first } else { length };
        if let Err(found) = work(first, rest) {
            failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get_or_insert(found);
        }
    });
    failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).map_or(Ok(()), Err)
}

/// Pieces begin at multiples of it: whole tiles of every instruction set.
const GRAIN: usize = 48;

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
