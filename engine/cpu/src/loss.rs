//! Softmax cross-entropy; one row is one token.

use crate::block::{Block, Failure};
use crate::exp::exp;
use crate::fold::fold;
use crate::scratch::Scratch;
use crate::threads;

/// Rows of one piece of work.
const ROWS: usize = 8;

/// Numbers that f32 sums; sums of them go on in f64, since a vocabulary is long.
const RUN: usize = 1024;

/// out := softmax(logits) − one-hot(targets), row by row; zero where the target is negative. out may be logits. Gives the sum of
/// −log softmax(logits)[target] over the other rows.
pub unsafe fn softmax_cross_entropy(logits: Block, targets: &[i32], out: Block) -> Result<f64, Failure> {
    let losses = Scratch::<f64>::new(logits.rows)?;
    threads::try_each(logits.rows.div_ceil(ROWS), |piece| {
        for i in piece * ROWS..((piece + 1) * ROWS).min(logits.rows) {
            *losses.at().add(i) = row_loss(logits.address(i, 0), targets[i], out.address(i, 0), out.cols);
        }
        Ok(())
    })?;
    Ok(std::slice::from_raw_parts(losses.at(), logits.rows).iter().sum())
}

unsafe fn row_loss(logits: *const f32, target: i32, out: *mut f32, cols: usize) -> f64 {
    let row = std::slice::from_raw_parts_mut(out, cols);
    if target < 0 {
        row.fill(0.0);
        return 0.0;
    }
    if !std::ptr::eq(logits, out) {
        std::ptr::copy_nonoverlapping(logits, out, cols);
    }
    probabilities_less_one(row, target as usize)
}

widest! {
/// x := softmax(x) − one-hot(target). Gives −log softmax(x)[target].
unsafe fn probabilities_less_one(x: &mut [f32], target: usize) -> f64 {
    let largest = fold(x, f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
    let below = (largest - x[target]) as f64;
    let mut sum = 0.0;
    for run in x.chunks_mut(RUN) {
        for value in run.iter_mut() {
            *value = exp(*value - largest);
        }
        sum += fold(run, 0.0, |a, b| a + b) as f64;
    }
    let inverse = (1.0 / sum) as f32;
    for value in x.iter_mut() {
        *value *= inverse;
    }
    x[target] -= 1.0;
    below + sum.ln()
}
}
