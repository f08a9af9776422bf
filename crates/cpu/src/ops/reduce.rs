//! Sums, means and maxima over axes.
//!
//! Every output is one chain in ascending order, in f64, so that it depends on nothing but its elements; lanes share the outputs.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::{Reduce, Reduction};
use binary_nets_kernels::Isa;

use super::plain;
use crate::io::{Io, Kernel};
use crate::target::Target;

/// Neighbouring outputs whose chains run side by side.
const BLOCK: usize = 16;

/// Elements read for one piece of work.
const WORK: usize = 1 << 15;

/// The input as axes that stay and axes that go, outermost first; neighbouring axes of one kind are one.
struct Walk {
    kept: Vec<Axis>,
    reduced: Vec<Axis>,
    /// The last axis if it stays, else 1; it is not among `kept`.
    inner: usize,
    /// Elements of one output.
    count: usize,
}

#[derive(Clone, Copy)]
struct Axis {
    extent: usize,
    stride: usize,
}

pub fn prepare(op: &Reduce, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, reduction, walk) = (target.isa, op.reduction, Walk::new(&io.inputs[0].shape, &op.axes));
    let count = walk.count as f64;
    plain(isa.name(), move |io| match reduction {
        Reduction::Sum => walk.run(isa, io, 0.0, |sum, x| sum + x, |sum| sum),
        Reduction::Mean => walk.run(isa, io, 0.0, |sum, x| sum + x, |sum| sum / count),
        Reduction::Max => walk.run(isa, io, f64::NEG_INFINITY, |max, x| if x > max { x } else { max }, |max| max),
    })
}

impl Walk {
    fn new(shape: &[usize], axes: &[usize]) -> Self {
        let mut walk = Self { kept: Vec::new(), reduced: Vec::new(), inner: 1, count: 1 };
        let (mut stride, mut inside) = (1, None);
        for (i, &extent) in shape.iter().enumerate().rev() {
            let goes = axes.contains(&i);
            let axes = if goes { &mut walk.reduced } else { &mut walk.kept };
            match axes.last_mut() {
                Some(axis) if inside == Some(goes) => axis.extent *= extent,
                _ => axes.push(Axis { extent, stride }),
            }
            inside = Some(goes);
            stride *= extent;
            walk.count *= if goes { extent } else { 1 };
        }
        if let Some(&Axis { extent, stride: 1 }) = walk.kept.first() {
            walk.inner = extent;
            walk.kept.remove(0);
        }
        walk.kept.reverse();
        walk.reduced.reverse();
        walk
    }

    fn run(
        &self,
        isa: Isa,
        io: &Io<'_>,
        start: f64,
        fold: impl Fn(f64, f64) -> f64 + Sync,
        finish: impl Fn(f64) -> f64 + Sync,
    ) {
        let x = io.input::<f32>(0);
        let chunk = (WORK / self.count.max(1)).next_multiple_of(BLOCK).max(BLOCK);
        io.threads().for_chunks(io.output::<f32>(0), chunk, |i, y| {
            isa.vectorize(
                #[inline(always)]
                || {
                    let mut done = 0;
                    while done < y.len() {
                        // A block ends with its row of neighbours.
                        let (row, column) = ((i * chunk + done) / self.inner, (i * chunk + done) % self.inner);
                        let (at, len) = (offset(&self.kept, row) + column, (self.inner - column).min(y.len() - done));
                        if len >= BLOCK {
                            let folded = self.fold_block::<BLOCK>(x, at, start, &fold);
                            y[done..done + BLOCK].iter_mut().zip(folded).for_each(|(y, f)| *y = finish(f) as f32);
                            done += BLOCK;
                        } else {
                            let [folded] = self.fold_block(x, at, start, &fold);
                            y[done] = finish(folded) as f32;
                            done += 1;
                        }
                    }
                },
            );
        });
    }

    /// The chains of `W` neighbouring outputs whose first elements stand at `at`.
    #[inline(always)]
    fn fold_block<const W: usize>(
        &self,
        x: &[f32],
        at: usize,
        start: f64,
        fold: &impl Fn(f64, f64) -> f64,
    ) -> [f64; W] {
        let mut folded = [start; W];
        let (last, outer) = match self.reduced.split_last() {
            Some((&last, outer)) => (last, outer),
            None => (Axis { extent: 1, stride: 1 }, [].as_slice()),
        };
        for o in 0..outer.iter().map(|axis| axis.extent).product() {
            let at = at + offset(outer, o);
            for i in 0..last.extent {
                let x: &[f32; W] = x[at + i * last.stride..].first_chunk().expect("a whole block");
                for k in 0..W {
                    folded[k] = fold(folded[k], x[k].into());
                }
            }
        }
        folded
    }
}

/// Where the axes have index `i`.
fn offset(axes: &[Axis], mut i: usize) -> usize {
    let mut offset = 0;
    for axis in axes.iter().rev() {
        offset += i % axis.extent * axis.stride;
        i /= axis.extent;
    }
    offset
}
