//! The matrix product.

use std::sync::Arc;

use binary_nets_exec::{ExecError, IoMeta, Prepared, Prologue};
use binary_nets_graph::ops::Matmul;
use binary_nets_kernels::{Gemm, Matrix};

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
    let product = Arc::new(Product { gemm, size, transpose: [op.transpose_a, op.transpose_b] });
    let packed = gemm.packed_b_len(size.2, size.1) * size_of::<f32>();
    let name = gemm.kernel_name();
    Ok(if io.constant[1] {
        let prologue = Arc::clone(&product);
        let prologue: Kernel = Box::new(move |io| prologue.pack(io, io.resident_mut()));
        let kernel: Kernel = Box::new(move |io| product.run(io, io.resident()));
        let prologue = Some(Prologue { kernel: prologue, bytes: packed });
        Prepared { kernel, name, scratch: 0, prologue, in_place: None }
    } else {
        let kernel: Kernel = Box::new(move |io| {
            let packed = io.scratch();
            product.pack(io, packed);
            product.run(io, packed);
        });
        Prepared { kernel, name, scratch: packed, prologue: None, in_place: None }
    })
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
