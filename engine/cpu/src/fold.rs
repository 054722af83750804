//! Sums and maxima over runs of memory.

/// Partial results kept side by side, so that the compiler can use its widest registers.
const LANES: usize = 16;

/// Σ x·y; y is as long as x.
#[inline(always)]
pub fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let tail: f32 = xs.remainder().iter().zip(ys.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in xs.zip(ys) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + tail
}

/// `combine` over all of x, begun with `start` in each partial result.
#[inline(always)]
pub fn fold(x: &[f32], start: f32, combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut partial = [start; LANES];
    let chunks = x.chunks_exact(LANES);
    let tail = chunks.remainder().iter().fold(start, |a, &b| combine(a, b));
    for chunk in chunks {
        for lane in 0..LANES {
            partial[lane] = combine(partial[lane], chunk[lane]);
        }
    }
    partial.iter().fold(tail, |a, &b| combine(a, b))
}
