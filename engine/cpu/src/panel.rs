//! Pairs of vectors v, w whose v wᵀ + w vᵀ have yet to be subtracted from a symmetric matrix.

use crate::eight::{in_eights, Eight, Loop};

/// Pairs that are gathered before they are subtracted from the whole matrix.
pub const PAIRS: usize = 16;

/// Row 2l is the l-th v, row 2l + 1 its w, both `width` long (a multiple of eight).
pub struct Panel {
    pub at: *mut f64,
    pub width: usize,
    /// How many rows are filled.
    pub rows: usize,
}

// Threads only read it.
unsafe impl Sync for Panel {}

impl Panel {
    #[inline(always)]
    pub unsafe fn row(&self, k: usize) -> *mut f64 {
        self.at.add(k * self.width)
    }

    /// The other row of the pair.
    #[inline(always)]
    pub unsafe fn partner(&self, k: usize) -> *mut f64 {
        self.row(k ^ 1)
    }

    /// to := to − Σ (v wᵀ + w vᵀ)[k], from the element `from` on.
    pub unsafe fn subtract_row(&self, k: usize, to: *mut f64, from: usize) {
        let mut shares = [0.0; 2 * PAIRS];
        for l in 0..self.rows {
            shares[l] = *self.partner(l).add(k);
        }
        in_eights(Combine { panel: self, shares: &shares, to, from });
    }

    /// y := y − Σ (v wᵀ + w vᵀ) x, where x is zero before the element `from`, from there on.
    pub unsafe fn subtract_times(&self, x: *const f64, y: *mut f64, from: usize) {
        let mut shares = [0.0; 2 * PAIRS];
        for l in 0..self.rows {
            shares[l ^ 1] = dot(self.row(l).add(from), x.add(from), self.width - from);
        }
        in_eights(Combine { panel: self, shares: &shares, to: y, from });
    }
}

/// Σ x y; n is a multiple of eight.
pub unsafe fn dot(x: *const f64, y: *const f64, n: usize) -> f64 {
    in_eights(Dot { x, y, n })
}

struct Dot {
    x: *const f64,
    y: *const f64,
    n: usize,
}

impl Loop for Dot {
    type Result = f64;

    #[inline(always)]
    unsafe fn run<E: Eight>(self) -> f64 {
        let mut sums = [E::splat(0.0); 4];
        for j in (0..self.n).step_by(8) {
            let sum = &mut sums[j / 8 % 4];
            *sum = sum.plus(E::load(self.x.add(j)), E::load(self.y.add(j)));
        }
        sums.into_iter().map(|sum| sum.sum()).sum()
    }
}

/// to := to − Σ shares[l] row(l).
struct Combine<'a> {
    panel: &'a Panel,
    shares: &'a [f64],
    to: *mut f64,
    from: usize,
}

impl Loop for Combine<'_> {
    type Result = ();

    #[inline(always)]
    unsafe fn run<E: Eight>(self) {
        let mut j = self.from;
        while j + 4 * 8 <= self.panel.width {
            self.strip::<E, 4>(j);
            j += 4 * 8;
        }
        for j in (j..self.panel.width).step_by(8) {
            self.strip::<E, 1>(j);
        }
    }
}

impl Combine<'_> {
    #[inline(always)]
    unsafe fn strip<E: Eight, const C: usize>(&self, j: usize) {
        let to = self.to.add(j);
        let mut sums: [E; C] = core::array::from_fn(|c| E::load(to.add(c * 8)));
        for l in 0..self.panel.rows {
            let (share, row) = (E::splat(-self.shares[l]), self.panel.row(l).add(j));
            for c in 0..C {
                sums[c] = sums[c].plus(share, E::load(row.add(c * 8)));
            }
        }
        for c in 0..C {
            sums[c].store(to.add(c * 8));
        }
    }
}
