//! The matrix product.

use binary_nets_exec::{ExecError, IoMeta, Prepared};
use binary_nets_graph::ops::Matmul;
use binary_nets_kernels::{Gemm, Matrix};

use super::laid::{self, consumed};
use crate::io::{Io, Kernel};
use crate::target::Target;

/// Rows of one chunk, in tiles of the kernel.
const TILES: usize = 4;

/// A product with its sizes: rows, columns, products per element.
struct Product {
    gemm: Gemm,
    size: (usize, usize, usize),
    transpose: [bool; 2],
}

pub fn prepare(op: &Matmul, io: &IoMeta, target: Target) -> Result<Prepared<Kernel>, ExecError> {
    let gemm = Gemm::new(target.isa);
    let (a, c) = (&io.inputs[0].shape, &io.outputs[0].shape);
    let size = (c[0], c[1], a[usize::from(!op.transpose_a)]);
    let laid = gemm.packed_b_len(size.2, size.1);
    let product = Product { gemm, size, transpose: [op.transpose_a, op.transpose_b] };
    let sizes = laid::Sizes { laid, scratch: 0 };
    let lay = |product: &Product, io: &Io<'_>, packed: &mut [f32]| product.pack(io, packed);
    Ok(laid::prepare(gemm.kernel_name(), consumed(io, &[1]), sizes, product, lay, |product, io, packed, _| {
        product.run(io, packed);
    }))
}

/// A matrix of that many columns, or the transpose of one of that many rows.
fn view(data: &[f32], transpose: bool, rows: usize, columns: usize) -> Matrix<'_> {
    if transpose { Matrix::transposed(data, rows) } else { Matrix::row_major(data, columns) }
}

impl Product {
    fn pack(&self, io: &Io<'_>, packed: &mut [f32]) {
        let (_, n, k) = self.size;
        self.gemm.pack_b(k, n, view(io.input(1), self.transpose[1], k, n), packed);
    }

    fn run(&self, io: &Io<'_>, packed: &[f32]) {
        let (m, n, k) = self.size;
        let a = view(io.input(0), self.transpose[0], m, k);
        let rows = TILES * self.gemm.tile_rows();
        io.threads().for_chunks(io.output(0), rows * n, |i, c: &mut [f32]| {
            let a = Matrix { data: &a.data[i * rows * a.row_stride..], ..a };
            self.gemm.run((c.len() / n, n, k), a, packed, c, n, false);
        });
    }
}
