//! A symmetric matrix in f64 as squares of eight by eight, and what a reduction to tridiagonal form does with it.

use crate::block::{Block, Failure, Outcome};
use crate::eight::{in_eights, Eight, Loop};
use crate::panel::Panel;
use crate::scratch::Scratch;
use crate::threads;

/// Rows and columns of a square.
pub const SIDE: usize = 8;

/// Rows of a square that are worked on at a time: as many as the registers hold.
const ROWS: usize = if cfg!(target_arch = "wasm32") { 2 } else { 4 };

/// The squares on and above the diagonal, row after row, each whole and row by row, so that both products below read memory forwards.
/// The last ones are filled up with zeros.
#[derive(Clone, Copy)]
pub struct Tiles {
    at: *mut f64,
    /// Squares in a row of the whole matrix.
    pub side: usize,
}

// Threads write to squares of their own.
unsafe impl Send for Tiles {}
unsafe impl Sync for Tiles {}

impl Tiles {
    /// Room for a matrix of n rows.
    pub fn room(n: usize) -> Result<Scratch<f64>, Failure> {
        let side = n.div_ceil(SIDE);
        Scratch::new(side * (side + 1) / 2 * SIDE * SIDE)
    }

    /// The symmetric matrix whose upper triangle is that of h.
    pub unsafe fn widened(h: Block, room: &Scratch<f64>) -> Result<Self, Failure> {
        let tiles = Self { at: room.at(), side: h.rows.div_ceil(SIDE) };
        for i in 0..tiles.side * SIDE {
            for j in i / SIDE * SIDE..tiles.side * SIDE {
                let (row, col) = (i.min(j), i.max(j));
                let value = if col < h.rows { *h.address(row, col) } else { 0.0 };
                if !value.is_finite() {
                    return Err(Failure::NotFinite);
                }
                *tiles.square(i / SIDE, j / SIDE).add(i % SIDE * SIDE + j % SIDE) = value as f64;
            }
        }
        Ok(tiles)
    }

    /// Columns with those that fill up the last squares.
    pub fn width(&self) -> usize {
        self.side * SIDE
    }

    #[inline(always)]
    unsafe fn square(&self, i: usize, j: usize) -> *mut f64 {
        self.at.add((i * self.side - i * (i + 1) / 2 + j) * SIDE * SIDE)
    }

    /// Copy row k from the first column of its square on to the same place of `to`.
    pub unsafe fn copy_row(&self, k: usize, to: *mut f64) {
        for j in k / SIDE..self.side {
            self.square(k / SIDE, j).add(k % SIDE * SIDE).copy_to_nonoverlapping(to.add(j * SIDE), SIDE);
        }
    }

    /// y := A v for the rows and columns of A from k on, where v is zero before k; y before k is left or becomes anything. Each element
    /// is read once, for both of its places. `room` holds PIECES vectors.
    pub unsafe fn times(&self, k: usize, v: *const f64, y: *mut f64, room: *mut f64) -> Outcome {
        let first = k / SIDE;
        let rows = self.side - first;
        let pieces = (rows / LEAST_ROWS).clamp(1, PIECES);
        // Rows from the piece's first on hold as many elements as those of every other piece.
        let begin = |piece: usize| {
            let share = 1.0 - (1.0 - piece as f64 / pieces as f64).sqrt();
            first + (share * rows as f64) as usize
        };
        let (from, sums) = (Place(v.cast_mut()), Place(room));
        let sum_of = |piece: usize| sums.at().add(piece * self.width());
        threads::try_each(pieces, |piece| {
            let (top, y) = (begin(piece), sum_of(piece));
            std::slice::from_raw_parts_mut(y.add(top * SIDE), (self.side - top) * SIDE).fill(0.0);
            in_eights(Times { a: *self, v: from.at(), y, rows: (top, begin(piece + 1)) });
            Ok(())
        })?;
        y.add(first * SIDE).copy_from_nonoverlapping(sum_of(0).add(first * SIDE), rows * SIDE);
        for piece in 1..pieces {
            for j in begin(piece) * SIDE..self.width() {
                *y.add(j) += *sum_of(piece).add(j);
            }
        }
        Ok(())
    }

    /// A := A − Σ (v wᵀ + w vᵀ) over the pairs of the panel, from row and column k on, a multiple of SIDE.
    pub unsafe fn subtract(&self, panel: &Panel, k: usize) -> Outcome {
        let first = k / SIDE;
        threads::try_each((self.side - first).div_ceil(GROUP), |piece| {
            for row in first + piece * GROUP..self.side.min(first + (piece + 1) * GROUP) {
                in_eights(Subtract { a: *self, panel, row });
            }
            Ok(())
        })
    }
}

/// An address that threads share.
#[derive(Clone, Copy)]
struct Place(*mut f64);

unsafe impl Send for Place {}
unsafe impl Sync for Place {}

impl Place {
    fn at(&self) -> *mut f64 {
        self.0
    }
}

/// Most sums that a product is cut into: a fixed number, so that results do not depend on threads.
pub const PIECES: usize = 8;
/// Rows of squares below which a piece is not worth a thread.
const LEAST_ROWS: usize = 20;
/// Rows of squares that one thread updates.
const GROUP: usize = 4;

struct Times {
    a: Tiles,
    v: *const f64,
    y: *mut f64,
    rows: (usize, usize),
}

impl Loop for Times {
    type Result = ();

    #[inline(always)]
    unsafe fn run<E: Eight>(self) {
        for i in self.rows.0..self.rows.1 {
            for r in (0..SIDE).step_by(ROWS) {
                self.some_rows::<E>(i, r);
            }
        }
    }
}

impl Times {
    #[inline(always)]
    unsafe fn some_rows<E: Eight>(&self, i: usize, r: usize) {
        let (a, v, y) = (self.a, self.v, self.y);
        let own: [E; ROWS] = core::array::from_fn(|q| E::splat(*v.add(i * SIDE + r + q)));
        let mut sums = [E::splat(0.0); ROWS];
        let (diagonal, beside) = (a.square(i, i).add(r * SIDE), E::load(v.add(i * SIDE)));
        for q in 0..ROWS {
            sums[q] = sums[q].plus(E::load(diagonal.add(q * SIDE)), beside);
        }
        for j in i + 1..a.side {
            let (square, beside) = (a.square(i, j).add(r * SIDE), E::load(v.add(j * SIDE)));
            let mut below = E::load(y.add(j * SIDE));
            for q in 0..ROWS {
                let row = E::load(square.add(q * SIDE));
                sums[q] = sums[q].plus(row, beside);
                below = below.plus(row, own[q]);
            }
            below.store(y.add(j * SIDE));
        }
        for q in 0..ROWS {
            *y.add(i * SIDE + r + q) += sums[q].sum();
        }
    }
}

struct Subtract<'a> {
    a: Tiles,
    panel: &'a Panel,
    row: usize,
}

impl Loop for Subtract<'_> {
    type Result = ();

    #[inline(always)]
    unsafe fn run<E: Eight>(self) {
        let mut j = self.row;
        while E::WIDE && j + 3 <= self.a.side {
            self.squares::<E, 3>(j);
            j += 3;
        }
        for j in j..self.a.side {
            self.squares::<E, 1>(j);
        }
    }
}

impl Subtract<'_> {
    /// C squares from the j-th on.
    #[inline(always)]
    unsafe fn squares<E: Eight, const C: usize>(&self, j: usize) {
        let (i, panel) = (self.row, self.panel);
        for r in (0..SIDE).step_by(ROWS) {
            let mut sums = [[E::splat(0.0); C]; ROWS];
            for k in 0..panel.rows {
                let (left, right) = (panel.row(k).add(i * SIDE + r), panel.partner(k).add(j * SIDE));
                let right: [E; C] = core::array::from_fn(|c| E::load(right.add(c * SIDE)));
                for q in 0..ROWS {
                    let x = E::splat(*left.add(q));
                    for c in 0..C {
                        sums[q][c] = sums[q][c].plus(x, right[c]);
                    }
                }
            }
            for q in 0..ROWS {
                for c in 0..C {
                    let at = self.a.square(i, j + c).add((r + q) * SIDE);
                    E::load(at).plus(E::splat(-1.0), sums[q][c]).store(at);
                }
            }
        }
    }
}
