//! The diagonal blocks at which the halving of triangular operations ends.

use crate::block::{Block, Failure, Outcome};
use crate::square::{transpose, SIDE};

/// Largest block that is not halved any more.
pub const SMALL: usize = 32;
/// Rows of B that are worked on side by side.
const LANES: usize = 16;

type Column = [f32; LANES];
type Triangle = [[f32; SMALL]; SMALL];

/// Where to halve n > SMALL: a multiple of SMALL, so that the small blocks are full ones.
pub fn half(n: usize) -> usize {
    (n / 2).next_multiple_of(SMALL)
}

/// The upper triangle of r, transposed: element [j][k] is r(k, j), k <= j.
#[inline(always)]
unsafe fn load_triangle(r: Block) -> Triangle {
    let mut t = [[0.0; SMALL]; SMALL];
    for j in 0..r.cols {
        for k in 0..=j {
            t[j][k] = *r.address(k, j);
        }
    }
    t
}

/// Hand the columns of b to `work`, `LANES` rows at a time, and store what it makes of them.
#[inline(always)]
unsafe fn by_lanes(b: Block, work: impl Fn(&mut [Column])) {
    let mut columns = [[0.0; LANES]; SMALL];
    for i in (0..b.rows).step_by(LANES) {
        let rows = b.part(i, 0, LANES.min(b.rows - i), b.cols);
        let columns = &mut columns[..b.cols];
        load(rows, columns);
        work(columns);
        store(rows, columns);
    }
}

/// The squares of a full block whose rows lie in runs, forwards or backwards: (address of its first row, step to the next, lane, its
/// column that lies first in memory, whether columns go backwards from there). None for other blocks.
#[inline(always)]
unsafe fn squares(b: Block, visit: &mut impl FnMut(*mut f32, isize, usize, usize, bool)) -> bool {
    if b.rows != LANES || b.cols % SIDE != 0 || b.right.abs() != 1 {
        return false;
    }
    let backwards = b.right < 0;
    let run = if backwards { b.flipped_cols() } else { b };
    for lane in (0..LANES).step_by(SIDE) {
        for j in (0..b.cols).step_by(SIDE) {
            visit(run.address(lane, j), run.down, lane, if backwards { b.cols - 1 - j } else { j }, backwards);
        }
    }
    true
}

/// From a column to the next, in numbers.
#[inline(always)]
fn step(backwards: bool) -> isize {
    if backwards {
        -(LANES as isize)
    } else {
        LANES as isize
    }
}

/// columns[j][lane] := b(lane, j).
#[inline(always)]
unsafe fn load(b: Block, columns: &mut [Column]) {
    let whole = squares(b, &mut |at, down, lane, column, backwards| {
        transpose(at, down, columns.as_mut_ptr().cast::<f32>().add(column * LANES + lane), step(backwards));
    });
    if !whole {
        for (j, column) in columns.iter_mut().enumerate() {
            for lane in 0..b.rows {
                column[lane] = *b.address(lane, j);
            }
        }
    }
}

/// b(lane, j) := columns[j][lane].
#[inline(always)]
unsafe fn store(b: Block, columns: &[Column]) {
    let whole = squares(b, &mut |at, down, lane, column, backwards| {
        transpose(columns.as_ptr().cast::<f32>().add(column * LANES + lane), step(backwards), at, down);
    });
    if !whole {
        for (j, column) in columns.iter().enumerate() {
            for lane in 0..b.rows {
                *b.address(lane, j) = column[lane];
            }
        }
    }
}

widest! {
/// B := B · R⁻¹ for R upper triangular of at most SMALL columns: x_j = (b_j − Σ_{k<j} x_k r_kj) / r_jj.
pub unsafe fn solve_small(b: Block, r: Block) {
    let t = load_triangle(r);
    by_lanes(b, |x| {
        for j in 0..x.len() {
            let mut rest = x[j];
            for k in 0..j {
                for lane in 0..LANES {
                    rest[lane] -= x[k][lane] * t[j][k];
                }
            }
            for lane in 0..LANES {
                x[j][lane] = rest[lane] / t[j][j];
            }
        }
    });
}
}

widest! {
/// R := R⁻¹ for at most SMALL columns, column by column: R X = I by back substitution.
pub unsafe fn invert_small(r: Block) {
    let t = load_triangle(r);
    for j in 0..r.cols {
        let mut x = [0.0; SMALL];
        x[j] = 1.0 / t[j][j];
        for i in (0..j).rev() {
            let sum: f32 = (i + 1..=j).map(|k| t[k][i] * x[k]).sum();
            x[i] = -sum / t[i][i];
        }
        for (i, value) in x[..=j].iter().enumerate() {
            *r.address(i, j) = *value;
        }
    }
}
}

widest! {
/// Upper triangle of h (at most SMALL x SMALL, row-major) := R with H = R Rᵀ; columns from the last.
pub unsafe fn cholesky_small(h: Block) -> Outcome {
    for j in (0..h.cols).rev() {
        let pivot = *h.address(j, j);
        if !(pivot > 0.0) {
            return Err(Failure::Pivot(j));
        }
        let root = pivot.sqrt();
        *h.address(j, j) = root;
        let mut column = [0.0; SMALL];
        for i in 0..j {
            column[i] = *h.address(i, j) / root;
            *h.address(i, j) = column[i];
        }
        for i in 0..j {
            let row = std::slice::from_raw_parts_mut(h.address(i, i), j - i);
            for (value, other) in row.iter_mut().zip(&column[i..j]) {
                *value -= column[i] * other;
            }
        }
    }
    Ok(())
}
}
