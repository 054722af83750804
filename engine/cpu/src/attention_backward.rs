//! Gradients of causal attention over one sequence, a block of queries at a time: probabilities are computed anew, and all sums but
//! those of rows are matrix products (Dao, arXiv 2307.08691, section 3.1).

use crate::attention::{softmax, Heads};
use crate::block::{Block, Outcome};
use crate::fold::dot;
use crate::gemm::gemm;
use crate::scratch::Scratch;
use crate::threads;

/// Queries of one block, as in `attention`.
const QUERIES: usize = 64;

/// What the forward pass had and gave, and the gradient of what it gave: q, out and d_out n x n_heads·head_dim, k and v n x
/// n_kv_heads·head_dim.
#[derive(Clone, Copy)]
pub struct Given {
    pub q: Block,
    pub k: Block,
    pub v: Block,
    pub out: Block,
    pub d_out: Block,
}

/// What is written; d_k and d_v are n x head_dim parts of one query head while it is worked on.
#[derive(Clone, Copy)]
pub struct Gradients {
    pub d_q: Block,
    pub d_k: Block,
    pub d_v: Block,
}

/// With P = softmax(scale · q kᵀ) of each head: d_v := Pᵀ d_out, dS = P · (d_out vᵀ − rowsum(d_out · out)), d_q := scale · dS k,
/// d_k := scale · dSᵀ q; d_k and d_v are summed over the query heads that share them, in order.
pub unsafe fn attention_backward(given: Given, heads: Heads, scale: f32, to: Gradients) -> Outcome {
    let (n, width) = (given.q.rows, heads.head_dim);
    let own = Scratch::<f32>::new(2 * n * heads.n_heads * width)?;
    // A head's own d_k (0) or d_v (1).
    let part = |head: usize, which: usize| Block::row_major(own.at().add((2 * head + which) * n * width), n, width, width);
    let sharing = heads.n_heads / heads.n_kv_heads;
    threads::try_each(heads.n_heads, |head| {
        let columns = |m: Block, head: usize| m.part(0, head * width, n, width);
        let (own, shared) = (|m| columns(m, head), |m| columns(m, head / sharing));
        let Given { q, k, v, out, d_out } = given;
        let given = Given { q: own(q), k: shared(k), v: shared(v), out: own(out), d_out: own(d_out) };
        backward_head(given, scale, Gradients { d_q: own(to.d_q), d_k: part(head, 0), d_v: part(head, 1) })
    })?;
    threads::try_each(heads.n_kv_heads, |head| {
        for (which, to) in [to.d_k, to.d_v].into_iter().enumerate() {
            let parts = (head * sharing..(head + 1) * sharing).map(|head| part(head, which));
            sum_parts(to.part(0, head * width, n, width), parts);
        }
        Ok(())
    })
}

/// to := Σ parts, in order.
unsafe fn sum_parts(to: Block, parts: impl Iterator<Item = Block>) {
    for (number, part) in parts.enumerate() {
        for i in 0..to.rows {
            let from = std::slice::from_raw_parts(part.address(i, 0), to.cols);
            let into = std::slice::from_raw_parts_mut(to.address(i, 0), to.cols);
            if number == 0 {
                into.copy_from_slice(from);
                continue;
            }
            for (sum, value) in into.iter_mut().zip(from) {
                *sum += value;
            }
        }
    }
}

/// One head. The last queries see all keys, so with them d_k and d_v begin.
unsafe fn backward_head(given: Given, scale: f32, to: Gradients) -> Outcome {
    let n = given.q.rows;
    let memory = Scratch::<f32>::new(2 * QUERIES.min(n) * n)?;
    for i in (0..n).step_by(QUERIES).rev() {
        let queries = QUERIES.min(n - i);
        let seen = i + queries;
        let rows = |m: Block| m.part(i, 0, queries, m.cols);
        let keys = |m: Block| m.part(0, 0, seen, m.cols);
        let (q, d_out, k) = (rows(given.q), rows(given.d_out), keys(given.k));
        let p = Block::row_major(memory.at(), queries, seen, seen);
        let d_s = Block::row_major(memory.at().add(queries * seen), queries, seen, seen);
        gemm(scale, q, k.transposed(), 0.0, p)?;
        gemm(1.0, d_out, keys(given.v).transposed(), 0.0, d_s)?;
        score_slopes(p, d_s, rows(given.out), d_out, scale);
        let beta = if seen == n { 0.0 } else { 1.0 };
        gemm(1.0, p.transposed(), d_out, beta, keys(to.d_v))?;
        gemm(1.0, d_s, k, 0.0, rows(to.d_q))?;
        gemm(1.0, d_s.transposed(), q, beta, keys(to.d_k))?;
    }
    Ok(())
}

/// p := softmax of the scores that the causal query sees, d_s := scale · p · (d_s − d_out · out); both 0 for the others.
unsafe fn score_slopes(p: Block, d_s: Block, out: Block, d_out: Block, scale: f32) {
    for i in 0..p.rows {
        let seen = p.cols - p.rows + i + 1;
        let row = |m: Block| std::slice::from_raw_parts_mut(m.address(i, 0), m.cols);
        let ((p, unseen), (d_s, unseen_too)) = (row(p).split_at_mut(seen), row(d_s).split_at_mut(seen));
        unseen.fill(0.0);
        unseen_too.fill(0.0);
        softmax(p);
        slope_row(p, d_s, row(out), row(d_out), scale);
    }
}

widest! {
unsafe fn slope_row(p: &[f32], d_s: &mut [f32], out: &[f32], d_out: &[f32], scale: f32) {
    let mean = dot(out, d_out);
    for (slope, p) in d_s.iter_mut().zip(p) {
        *slope = scale * p * (*slope - mean);
    }
}
}
