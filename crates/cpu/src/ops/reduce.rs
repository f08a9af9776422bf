//! Sums, means and maxima over axes.
//!
//! Every output is one chain in ascending order, in f64, so that it depends on nothing but its elements; lanes share the outputs.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::ops::{Reduce, Reduction};

use super::plain;
use crate::cpu::Cpu;
use crate::io::{Io, Kernel};

/// Neighbouring outputs whose chains run side by side.
const BLOCK: usize = 32;

/// Elements read for one piece of work.
const WORK: usize = 1 << 15;

/// An extent and the distance between neighbours.
type Axis = (usize, usize);

/// The input as axes that stay and axes that go.
struct Walk {
    /// Outer axes that stay.
    kept: Vec<Axis>,
    /// The last axis if it stays, else 1.
    inner: usize,
    reduced: Vec<Axis>,
    /// Elements of one output.
    count: usize,
}

pub fn prepare(op: &Reduce, io: &IoMeta, cpu: &Cpu) -> Prepared<Kernel> {
    let (isa, reduction, walk) = (cpu.isa(), op.reduction, Walk::new(&io.inputs[0].shape, &op.axes));
    let count = walk.count as f64;
    plain(isa.name(), move |io| {
        isa.vectorize(
            #[inline(always)]
            || match reduction {
                Reduction::Sum => walk.run(isa, io, 0.0, |sum, x| sum + x, |sum| sum),
                Reduction::Mean => walk.run(isa, io, 0.0, |sum, x| sum + x, |sum| sum / count),
                Reduction::Max => {
                    walk.run(isa, io, f64::NEG_INFINITY, |max, x| if x > max { x } else { max }, |max| max);
                }
            },
        );
    })
}

impl Walk {
    fn new(shape: &[usize], axes: &[usize]) -> Self {
        let mut walk = Self { kept: Vec::new(), inner: 1, reduced: Vec::new(), count: 1 };
        let (mut stride, mut inside) = (1, None);
        for (i, &extent) in shape.iter().enumerate().rev() {
            let goes = axes.contains(&i);
            let axes = if goes { &mut walk.reduced } else { &mut walk.kept };
            match axes.last_mut() {
                // Neighbouring axes of one kind are one.
                Some(axis) if inside == Some(goes) => axis.0 *= extent,
                _ => axes.push((extent, stride)),
            }
            inside = Some(goes);
            stride *= extent;
            walk.count *= if goes { extent } else { 1 };
        }
        if let Some(&(extent, 1)) = walk.kept.first() {
            walk.inner = extent;
            walk.kept.remove(0);
        }
        walk.kept.reverse();
        walk.reduced.reverse();
        walk
    }

    fn run(
        &self,
        isa: binary_nets_kernels::Isa,
        io: &Io<'_>,
        start: f64,
        fold: impl Fn(f64, f64) -> f64 + Sync,
        finish: impl Fn(f64) -> f64 + Sync,
    ) {
        let x = io.input::<f32>(0);
        let chunk = (WORK / self.count.max(1)).next_multiple_of(BLOCK);
        io.threads().for_chunks(io.output::<f32>(0), chunk, |i, y| {
            isa.vectorize(
                #[inline(always)]
                || {
                    let (mut first, mut rest) = (i * chunk, y);
                    while !rest.is_empty() {
                        // A block ends with its row of neighbours.
                        let (row, column) = (first / self.inner, first % self.inner);
                        let len = BLOCK.min(self.inner - column).min(rest.len());
                        let (block, behind) = rest.split_at_mut(len);
                        let mut folded = [start; BLOCK];
                        let at = offset(&self.kept, row) + column;
                        if len == BLOCK {
                            visit(&self.reduced, at, &mut |at| {
                                let x: &[f32; BLOCK] = x[at..].first_chunk().expect("a whole block");
                                folded.iter_mut().zip(x).for_each(|(folded, &x)| *folded = fold(*folded, f64::from(x)));
                            });
                        } else {
                            visit(&self.reduced, at, &mut |at| {
                                let x = &x[at..][..len];
                                folded.iter_mut().zip(x).for_each(|(folded, &x)| *folded = fold(*folded, f64::from(x)));
                            });
                        }
                        block.iter_mut().zip(folded).for_each(|(y, folded)| *y = finish(folded) as f32);
                        first += len;
                        rest = behind;
                    }
                },
            );
        });
    }
}

/// Where the axes have index `i`.
fn offset(axes: &[Axis], mut i: usize) -> usize {
    let mut offset = 0;
    for &(extent, stride) in axes.iter().rev() {
        offset += i % extent * stride;
        i /= extent;
    }
    offset
}

/// Calls `f` for every element of the axes, ascending.
#[inline(always)]
fn visit(axes: &[Axis], at: usize, f: &mut impl FnMut(usize)) {
    match *axes {
        [] => f(at),
        [(extent, stride)] => (0..extent).for_each(|i| f(at + i * stride)),
        [(outer, outer_stride), (extent, stride)] => {
            for o in 0..outer {
                (0..extent).for_each(|i| f(at + o * outer_stride + i * stride));
            }
        }
        [..] => {
            let elements = axes.iter().map(|axis| axis.0).product();
            (0..elements).for_each(|i| f(at + offset(axes, i)));
        }
    }
}
