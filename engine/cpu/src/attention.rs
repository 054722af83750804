//! Causal attention, a block of queries at a time, so that scores and mixtures are matrix products.

use crate::block::{Block, Outcome};
use crate::exp::exp;
use crate::fold::fold;
use crate::gemm::gemm;
use crate::scratch::Scratch;
use crate::threads;

/// Queries of one block: enough for full tiles, few enough that their scores stay in cache.
const QUERIES: usize = 64;

/// `n_heads` query heads share `n_kv_heads` key and value heads of `head_dim` numbers.
#[derive(Clone, Copy)]
pub struct Heads {
    pub n_heads: usize,
    pub n_kv_heads: usize,
    pub head_dim: usize,
}

/// out := softmax(scale · q kᵀ) v for each head of one sequence. q and out: n x n_heads·head_dim; k and v: total x
/// n_kv_heads·head_dim. Query row i sees key rows 0 … total − n + i.
pub unsafe fn attention(q: Block, k: Block, v: Block, heads: Heads, scale: f32, out: Block) -> Outcome {
    let past = k.rows - q.rows;
    let blocks = q.rows.div_ceil(QUERIES);
    threads::try_each(heads.n_heads * blocks, |piece| {
        // The last queries see most, so they come first.
        let (head, i) = (piece % heads.n_heads, (blocks - 1 - piece / heads.n_heads) * QUERIES);
        let columns = |m: Block, head: usize| m.part(0, head * heads.head_dim, m.rows, heads.head_dim);
        let shared = head / (heads.n_heads / heads.n_kv_heads);
        let n = QUERIES.min(q.rows - i);
        let rows = |m: Block, first: usize, n: usize| m.part(first, 0, n, m.cols);
        let (q, out) = (rows(columns(q, head), i, n), rows(columns(out, head), i, n));
        attend(q, columns(k, shared), columns(v, shared), past + i, scale, out)
    })
}

/// A block of queries of one head, of which the first sees the keys 0 ..= before.
unsafe fn attend(q: Block, k: Block, v: Block, before: usize, scale: f32, out: Block) -> Outcome {
    let seen = before + q.rows;
    let scores = Scratch::new(q.rows * seen)?;
    let s = Block::row_major(scores.at(), q.rows, seen, seen);
    gemm(scale, q, k.part(0, 0, seen, k.cols).transposed(), 0.0, s)?;
    causal_softmax(s);
    let (shared, own) = s.split_cols(before);
    gemm(1.0, shared, v.part(0, 0, before, v.cols), 0.0, out)?;
    add_lower_product(own, v.part(before, 0, q.rows, v.cols), out);
    Ok(())
}

/// Row i := softmax of its first cols − rows + i + 1 numbers; the query must not see the others.
unsafe fn causal_softmax(s: Block) {
    for i in 0..s.rows {
        softmax(std::slice::from_raw_parts_mut(s.address(i, 0), s.cols - s.rows + i + 1));
    }
}

widest! {
/// out += L v with L the lower triangle of the square s. Rows of v above the diagonal are not read: they may hold anything.
unsafe fn add_lower_product(s: Block, v: Block, out: Block) {
    for i in 0..s.rows {
        let into = std::slice::from_raw_parts_mut(out.address(i, 0), out.cols);
        for t in 0..=i {
            let weight = *s.address(i, t);
            let row = std::slice::from_raw_parts(v.address(t, 0), v.cols);
            for (sum, value) in into.iter_mut().zip(row) {
                *sum += weight * value;
            }
        }
    }
}
}

widest! {
/// x := e^{x − max x} / Σ e^{x − max x}.
pub unsafe fn softmax(x: &mut [f32]) {
    let largest = fold(x, f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
    for value in x.iter_mut() {
        *value = exp(*value - largest);
    }
    let inverse = 1.0 / fold(x, 0.0, |a, b| a + b);
    for value in x.iter_mut() {
        *value *= inverse;
    }
}
}
