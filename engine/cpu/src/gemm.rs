//! Matrix products after Goto and van de Geijn: A and B are packed into narrow panels that stay in cache while a small kernel
//! multiplies them in registers.

use crate::block::{Block, Failure, Outcome};
#[cfg(target_arch = "x86_64")]
use crate::isa::{isa, Isa};
#[cfg(target_arch = "wasm32")]
use crate::micro::Simd128;
#[cfg(target_arch = "x86_64")]
use crate::micro::{Avx2, Avx512};
use crate::micro::{Micro, Portable};
use crate::scratch::Scratch;
use crate::skinny;
use crate::threads;
use std::ops::Range;

/// What of a product need not be computed.
#[derive(Clone, Copy)]
enum Shape {
    Full,
    /// Of C only what lies on and above (below) the diagonal is wanted; the rest becomes anything.
    UpperC,
    LowerC,
    /// Zeros below (above) the diagonal of A or B.
    UpperA,
    LowerA,
    UpperB,
    LowerB,
}

impl Shape {
    /// Of Cᵀ := Bᵀ Aᵀ.
    fn transposed(self) -> Self {
        match self {
            Shape::Full => Shape::Full,
            Shape::UpperC => Shape::LowerC,
            Shape::LowerC => Shape::UpperC,
            Shape::UpperA => Shape::LowerB,
            Shape::LowerA => Shape::UpperB,
            Shape::UpperB => Shape::LowerA,
            Shape::LowerB => Shape::UpperA,
        }
    }

    /// Of the depth what the tile that begins at (row, col) is the sum of.
    #[inline(always)]
    fn part<M: Micro>(self, row: usize, col: usize, depth: usize) -> Range<usize> {
        match self {
            Shape::UpperC if row >= col + M::NR => 0..0,
            Shape::LowerC if col >= row + M::MR => 0..0,
            Shape::UpperA => row..depth,
            Shape::LowerA => 0..depth.min(row + M::MR),
            Shape::UpperB => 0..depth.min(col + M::NR),
            Shape::LowerB => col..depth,
            _ => 0..depth,
        }
    }
}

/// C := alpha · A B + beta · C. C overlaps neither A nor B; beta = 0 ignores what C held, NaN included.
pub unsafe fn gemm(alpha: f32, a: Block, b: Block, beta: f32, c: Block) -> Outcome {
    let (a, b, c) = upright(a, b, c);
    if skinny::suits(a, b, c) {
        return skinny::multiply(alpha, a, b, beta, c);
    }
    product(Shape::Full, alpha, a, b, beta, c)
}

/// Upper triangle of C := alpha · A Aᵀ + beta · C, C row-major; the strictly lower part becomes anything.
pub unsafe fn syrk(alpha: f32, a: Block, beta: f32, c: Block) -> Outcome {
    product(Shape::UpperC, alpha, a, a.transposed(), beta, c)
}

/// The same product with C row by row and all steps forwards where that can be had.
unsafe fn upright(mut a: Block, mut b: Block, mut c: Block) -> (Block, Block, Block) {
    if c.right.abs() > c.down.abs() {
        (a, b, c) = (b.transposed(), a.transposed(), c.transposed());
    }
    if c.down < 0 {
        (a, c) = (a.flipped_rows(), c.flipped_rows());
    }
    if c.right < 0 {
        (b, c) = (b.flipped_cols(), c.flipped_cols());
    }
    if a.right < 0 {
        (a, b) = (a.flipped_cols(), b.flipped_rows());
    }
    (a, b, c)
}

/// C := C + B R, then B := B T for T with zeros below (`lower`: above) its diagonal and at most `most_depth` rows: in one pass, which
/// packs B before it writes there.
pub unsafe fn multiply_triangle(b: Block, t: Block, lower: bool, r: Block, c: Block) -> Outcome {
    let shape = if lower { Shape::LowerB } else { Shape::UpperB };
    #[cfg(target_arch = "x86_64")]
    if isa() == Isa::Avx512 && c.cols > 0 && !skinny::suits(b, r, c) {
        return both_by_columns::<Avx512>(shape, b, t, r, c);
    }
    gemm(1.0, b, r, 1.0, c)?;
    product(shape, 1.0, b, t, 0.0, b)
}

/// Those two products for tiles by columns, which B is the shared operand of: it is packed once for both.
#[cfg(target_arch = "x86_64")]
unsafe fn both_by_columns<M: Micro>(shape: Shape, b: Block, t: Block, r: Block, c: Block) -> Outcome {
    let (shape, b, t, r, c) = (shape.transposed(), b.transposed(), t.transposed(), r.transposed(), c.transposed());
    let (depth, n) = (b.rows, b.cols);
    let packed_b = Scratch::<f32>::new(M::NC.min(n.next_multiple_of(M::NR)) * depth)?;
    let packed_a = room_for_pieces::<M>(depth.max(c.rows), depth)?;
    for j in (0..n).step_by(M::NC) {
        let nc = M::NC.min(n - j);
        let (own, beyond) = (b.part(0, j, depth, nc), c.part(0, j, c.rows, nc));
        pack_b::<M>(own, &packed_b);
        pass::<M>(1.0, r, &packed_b, 1.0, beyond, &packed_a, |_, _| 0..depth);
        pass::<M>(1.0, t, &packed_b, 0.0, own, &packed_a, |i, tile| shape.part::<M>(i, j + tile, depth));
    }
    Ok(())
}

/// The depth of a product that takes one pass.
pub fn most_depth() -> usize {
    #[cfg(target_arch = "x86_64")]
    match isa() {
        Isa::Avx512 => return Avx512::KC,
        Isa::Avx2 => return Avx2::KC,
        Isa::Portable => {}
    }
    Portable::KC
}

unsafe fn product(shape: Shape, alpha: f32, a: Block, b: Block, beta: f32, c: Block) -> Outcome {
    #[cfg(target_arch = "x86_64")]
    match isa() {
        Isa::Avx512 => return product_by::<Avx512>(shape, alpha, a, b, beta, c),
        Isa::Avx2 => return product_by::<Avx2>(shape, alpha, a, b, beta, c),
        Isa::Portable => {}
    }
    #[cfg(target_arch = "wasm32")]
    return product_by::<Simd128>(shape, alpha, a, b, beta, c);
    #[cfg(not(target_arch = "wasm32"))]
    product_by::<Portable>(shape, alpha, a, b, beta, c)
}

unsafe fn product_by<M: Micro>(shape: Shape, alpha: f32, a: Block, b: Block, beta: f32, c: Block) -> Outcome {
    let (shape, a, b, c) =
        if M::BY_COLUMNS { (shape.transposed(), b.transposed(), a.transposed(), c.transposed()) } else { (shape, a, b, c) };
    let (m, n, depth) = (c.rows, c.cols, a.cols);
    if m == 0 || n == 0 || depth == 0 || alpha == 0.0 {
        scale(beta, c);
        return Ok(());
    }
    let most = depth_at_once::<M>(depth);
    let packed_b = Scratch::<f32>::new(M::NC.min(n.next_multiple_of(M::NR)) * most)?;
    let packed_a = room_for_pieces::<M>(m, most)?;
    for j in (0..n).step_by(M::NC) {
        let nc = M::NC.min(n - j);
        for k in (0..depth).step_by(most) {
            let kc = most.min(depth - k);
            let beta = if k == 0 { beta } else { 1.0 };
            pack_b::<M>(b.part(k, j, kc, nc), &packed_b);
            pass::<M>(alpha, a.part(0, k, m, kc), &packed_b, beta, c.part(0, j, m, nc), &packed_a, |i, tile| {
                shape.part::<M>(i, j + tile, kc)
            });
        }
    }
    Ok(())
}

/// Passes of equal depth, of at most KC.
fn depth_at_once<M: Micro>(depth: usize) -> usize {
    depth.div_ceil(depth.div_ceil(M::KC))
}

/// Rows of A that one piece of work packs: at most MC, and few enough that each thread gets several pieces.
fn rows_at_once<M: Micro>(m: usize) -> usize {
    let shared = if threads::count() > 1 { m.div_ceil(4 * threads::count()) } else { m };
    shared.min(M::MC).next_multiple_of(M::MR)
}

/// Where each thread packs its piece of A.
fn room_for_pieces<M: Micro>(m: usize, depth: usize) -> Result<Scratch, Failure> {
    Scratch::new(threads::count() * rows_at_once::<M>(m) * depth)
}

/// C := alpha · A B + beta · C for packed B. `part(row, col)` says which of the depth the tile that begins there is the sum of.
unsafe fn pass<M: Micro>(
    alpha: f32,
    a: Block,
    b: &Scratch,
    beta: f32,
    c: Block,
    room: &Scratch,
    part: impl Fn(usize, usize) -> Range<usize> + Sync,
) {
    let (kc, rows) = (a.cols, rows_at_once::<M>(c.rows));
    threads::for_each(c.rows.div_ceil(rows), |piece| {
        let i = piece * rows;
        let mc = rows.min(c.rows - i);
        let packed_a = room.at().add(threads::slot() * rows * kc);
        M::pack_a(a.part(i, 0, mc, kc).transposed(), packed_a);
        tiles::<M>(kc, alpha, packed_a, b.at(), beta, c.part(i, 0, mc, c.cols), |row, col| part(i + row, col));
    });
}

/// Columns of B that one piece of work packs: whole panels of every instruction set.
const STRIP: usize = 96;

unsafe fn pack_b<M: Micro>(b: Block, to: &Scratch) {
    threads::for_each(b.cols.div_ceil(STRIP), |piece| {
        let j = piece * STRIP;
        M::pack_b(b.part(0, j, b.rows, STRIP.min(b.cols - j)), to.at().add(j * b.rows));
    });
}

/// `pass` for packed A.
#[inline(always)]
unsafe fn tiles<M: Micro>(
    kc: usize,
    alpha: f32,
    a: *const f32,
    b: *const f32,
    beta: f32,
    c: Block,
    part: impl Fn(usize, usize) -> Range<usize>,
) {
    for j in (0..c.cols).step_by(M::NR) {
        for i in (0..c.rows).step_by(M::MR) {
            let Range { start, end } = part(i, j);
            if start < end {
                let tile = c.part(i, j, M::MR.min(c.rows - i), M::NR.min(c.cols - j));
                M::tile(end - start, alpha, a.add(i * kc + start * M::MR), b.add(j * kc + start * M::NR), beta, tile);
            }
        }
    }
}

/// C := beta · C; beta = 0 clears even NaN.
pub unsafe fn scale(beta: f32, c: Block) {
    for i in 0..c.rows {
        for j in 0..c.cols {
            let at = c.address(i, j);
            *at = if beta == 0.0 { 0.0 } else { beta * *at };
        }
    }
}
