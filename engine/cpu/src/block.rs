//! The one matrix type of the kernels, and how they fail.

/// Why a kernel could not give its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Scratch memory could not be had.
    OutOfMemory,
    /// The pivot in this row and column is not positive (Cholesky) or is zero (triangular inverse and solve).
    Pivot(usize),
    /// The matrix holds NaN or infinity.
    NotFinite,
    /// An iteration did not converge.
    NoConvergence,
}

pub type Outcome = Result<(), Failure>;

/// Element (i, j) of a rows x cols block lies at `at + i·down + j·right`, so transposes and reversals are free.
/// Kernels trust their blocks: the caller guarantees that every element is valid memory.
#[derive(Clone, Copy)]
pub struct Block {
    pub at: *mut f32,
    pub rows: usize,
    pub cols: usize,
    pub down: isize,
    pub right: isize,
}

// Threads work on blocks that do not overlap.
unsafe impl Send for Block {}
unsafe impl Sync for Block {}

impl Block {
    /// A row-major block whose rows lie `stride` elements apart.
    pub fn row_major(at: *mut f32, rows: usize, cols: usize, stride: usize) -> Self {
        Self { at, rows, cols, down: stride as isize, right: 1 }
    }

    pub fn transposed(self) -> Self {
        Self { at: self.at, rows: self.cols, cols: self.rows, down: self.right, right: self.down }
    }

    /// Address of element (i, j).
    #[inline(always)]
    pub unsafe fn address(&self, i: usize, j: usize) -> *mut f32 {
        self.at.offset(i as isize * self.down + j as isize * self.right)
    }

    /// The rows x cols part that begins at (i, j).
    pub unsafe fn part(&self, i: usize, j: usize, rows: usize, cols: usize) -> Self {
        Self { at: self.address(i, j), rows, cols, ..*self }
    }

    /// The same elements, last row first.
    pub unsafe fn flipped_rows(self) -> Self {
        Self { at: self.address(self.rows.saturating_sub(1), 0), down: -self.down, ..self }
    }

    /// The same elements, last column first.
    pub unsafe fn flipped_cols(self) -> Self {
        self.transposed().flipped_rows().transposed()
    }

    /// The square block as [[11, 12], [21, 22]] with 11 of size `first`: (11, 12, 22).
    pub unsafe fn split(&self, first: usize) -> (Self, Self, Self) {
        let rest = self.rows - first;
        (self.part(0, 0, first, first), self.part(0, first, first, rest), self.part(first, first, rest, rest))
    }

    /// The columns before and from `first`.
    pub unsafe fn split_cols(&self, first: usize) -> (Self, Self) {
        (self.part(0, 0, self.rows, first), self.part(0, first, self.rows, self.cols - first))
    }
}
