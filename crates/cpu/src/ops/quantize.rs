//! Floats as bytes.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::Quantize;
use binary_nets_kernels::{Isa, quantize};

use super::conv2d::extents;
use super::elementwise::CHUNK;
use super::plain;
use crate::io::Kernel;
use crate::target::Target;

pub fn prepare(op: &Quantize, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let rows = Rows { op: op.clone(), isa: target.isa, x: extents(io.inputs[0]), y: extents(io.outputs[0]) };
    plain(target.isa.name(), move |io| {
        let x = io.input(0);
        io.threads().for_chunks(io.output(0), rows.chunk() * rows.len(), |i, y| rows.run(x, i * rows.chunk(), y));
    })
}

/// Rows of the result.
struct Rows {
    op: Quantize,
    isa: Isa,
    x: [usize; 4],
    y: [usize; 4],
}

impl Rows {
    /// Elements of one.
    fn len(&self) -> usize {
        self.y[2] * self.y[3]
    }

    /// How many are one piece of work.
    fn chunk(&self) -> usize {
        (CHUNK / self.len()).max(1)
    }

    /// The rows from `first` on.
    fn run(&self, x: &[f32], first: usize, y: &mut [u8]) {
        let Quantize { factor, zero, stride } = self.op;
        let [_, height, width, channels] = self.x;
        for (i, y) in y.chunks_exact_mut(self.len()).enumerate() {
            let (image, row) = ((first + i) / self.y[1], (first + i) % self.y[1]);
            let x = &x[(image * height + row * stride[0]) * width * channels..][..width * channels];
            // Neighbours are one run.
            let runs = if stride[1] == 1 { [y.len(); 2] } else { [channels, stride[1] * channels] };
            quantize(self.isa, x, runs, factor, zero, y);
        }
    }
}
