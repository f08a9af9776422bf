//! Max and average pools, over rows of channels.
//!
//! Gradients are gathered: each input pixel adds what the outputs whose window covers it hand back, in a fixed order.

use binary_nets_exec::{IoMeta, Prepared};
use binary_nets_graph::{Shape, Window};
use binary_nets_kernels::Isa;

use super::plain;
use crate::io::Kernel;
use crate::target::Target;
use crate::threads::Threads;

/// Channels that are taken side by side.
const BLOCK: usize = 32;

/// A window between two feature maps.
#[derive(Clone, Copy, Debug)]
struct Pool {
    window: Window,
    /// Extents of the image under the windows.
    image: [usize; 2],
    /// Extents of the result of the pool.
    pooled: [usize; 2],
    channels: usize,
}

/// A pixel of a feature map: the offset of its first channel, the tap that leads to it, and the row and column of that tap's output.
struct Tap {
    at: usize,
    number: usize,
    output: [usize; 2],
}

impl Pool {
    fn new(window: Window, image: &Shape, pooled: &Shape) -> Self {
        Self { window, image: [image[1], image[2]], pooled: [pooled[1], pooled[2]], channels: image.channels() }
    }

    /// Calls `work(image number, row, column, channels)` for every pixel of `y`, a feature map of these extents, rows apart on the lanes.
    fn for_pixels<T: Send>(
        &self,
        isa: Isa,
        threads: Threads,
        y: &mut [T],
        [height, width]: [usize; 2],
        work: impl Fn(usize, usize, usize, &mut [T]) + Sync,
    ) {
        threads.for_chunks(y, width * self.channels, |row, y| {
            isa.vectorize(
                #[inline(always)]
                || {
                    for (column, y) in y.chunks_exact_mut(self.channels).enumerate() {
                        work(row / height, row % height, column, y);
                    }
                },
            );
        });
    }

    /// The pixels under the window of an output, ascending.
    #[inline(always)]
    fn under(&self, n: usize, i: usize, j: usize) -> impl Iterator<Item = Tap> {
        let Self { window, image: [height, width], channels, .. } = *self;
        (0..window.kernel[0]).flat_map(move |kh| {
            (0..window.kernel[1]).filter_map(move |kw| {
                let (row, column) = (window.source(0, height, i, kh)?, window.source(1, width, j, kw)?);
                Some(Tap {
                    at: ((n * height + row) * width + column) * channels,
                    number: kh * window.kernel[1] + kw,
                    output: [i, j],
                })
            })
        })
    }
}

/// A pool, from its image.
struct Gradient {
    pool: Pool,
    /// Of each row and of each column of the image, the taps that lead from it to outputs, ascending, and those outputs.
    over: [Vec<Vec<(usize, usize)>>; 2],
}

impl Gradient {
    fn new(pool: Pool) -> Self {
        let over = [0, 1].map(|axis| {
            let mut over = vec![Vec::new(); pool.image[axis]];
            for tap in 0..pool.window.kernel[axis] {
                for output in 0..pool.pooled[axis] {
                    if let Some(pixel) = pool.window.source(axis, pool.image[axis], output, tap) {
                        over[pixel].push((tap, output));
                    }
                }
            }
            over
        });
        Self { pool, over }
    }

    /// The outputs whose window covers a pixel, by ascending tap.
    #[inline(always)]
    fn over(&self, n: usize, row: usize, column: usize) -> impl Iterator<Item = Tap> {
        let Pool { window, pooled: [height, width], channels, .. } = self.pool;
        self.over[0][row].iter().flat_map(move |&(kh, i)| {
            self.over[1][column].iter().map(move |&(kw, j)| Tap {
                at: ((n * height + i) * width + j) * channels,
                number: kh * window.kernel[1] + kw,
                output: [i, j],
            })
        })
    }
}

/// The kernel of [`binary_nets_graph::ops::MaxPool2d`].
pub fn prepare_max(window: Window, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, pool) = (target.isa, Pool::new(window, &io.inputs[0].shape, &io.outputs[0].shape));
    plain(isa.name(), move |io| {
        let x = io.input::<f32>(0);
        pool.for_pixels(isa, io.threads(), io.output::<f32>(0), pool.pooled, |n, i, j, y| {
            for (block, y) in y.chunks_mut(BLOCK).enumerate() {
                let (largest, _) = largest(pool.under(n, i, j), x, block * BLOCK);
                y.copy_from_slice(&largest[..y.len()]);
            }
        });
    })
}

/// The kernel of [`binary_nets_graph::ops::MaxPool2dIndex`].
pub fn prepare_max_index(window: Window, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, pool) = (target.isa, Pool::new(window, &io.inputs[0].shape, &io.outputs[0].shape));
    let [height, width] = pool.pooled;
    plain(isa.name(), move |io| {
        let x = io.input::<f32>(0);
        let (y, index) = (io.output::<f32>(0), io.output::<u32>(1));
        let row_len = width * pool.channels;
        io.threads().for_chunks2((y, row_len), (index, row_len), |row, y, index| {
            isa.vectorize(
                #[inline(always)]
                || {
                    let pixels = y.chunks_exact_mut(pool.channels).zip(index.chunks_exact_mut(pool.channels));
                    for (column, (y, index)) in pixels.enumerate() {
                        let blocks = y.chunks_mut(BLOCK).zip(index.chunks_mut(BLOCK));
                        for (block, (y, index)) in blocks.enumerate() {
                            let taps = pool.under(row / height, row % height, column);
                            let (largest, taps) = largest(taps, x, block * BLOCK);
                            y.copy_from_slice(&largest[..y.len()]);
                            index.copy_from_slice(&taps[..index.len()]);
                        }
                    }
                },
            );
        });
    })
}

/// A block from the first of these elements on: so many as a constant says become vector code without a loop. Behind a pixel's last channel come those of the next, or zeros.
#[inline(always)]
fn block<T: Copy + Default>(x: &[T]) -> [T; BLOCK] {
    x.first_chunk().copied().unwrap_or_else(
        #[inline(always)]
        || {
            let mut padded = [T::default(); BLOCK];
            padded[..x.len()].copy_from_slice(x);
            padded
        },
    )
}

/// The largest of the numbers of a block of channels from `channel` on, the first of equals, and its tap.
#[inline(always)]
fn largest(mut taps: impl Iterator<Item = Tap>, x: &[f32], channel: usize) -> ([f32; BLOCK], [u32; BLOCK]) {
    let first = taps.next().expect("every window has a pixel");
    let (mut largest, mut index) = (block(&x[first.at + channel..]), [first.number as u32; BLOCK]);
    for tap in taps {
        let x = block(&x[tap.at + channel..]);
        for k in 0..BLOCK {
            let wins = x[k] > largest[k];
            largest[k] = if wins { x[k] } else { largest[k] };
            index[k] = if wins { tap.number as u32 } else { index[k] };
        }
    }
    (largest, index)
}

/// The kernel of [`binary_nets_graph::ops::MaxPool2dGrad`].
pub fn prepare_max_grad(window: Window, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, pool) = (target.isa, Pool::new(window, &io.outputs[0].shape, &io.inputs[1].shape));
    let gradient = Gradient::new(pool);
    plain(isa.name(), move |io| {
        let (index, dy) = (io.input::<u32>(0), io.input::<f32>(1));
        pool.for_pixels(isa, io.threads(), io.output::<f32>(0), pool.image, |n, row, column, dx| {
            for (block, dx) in dx.chunks_mut(BLOCK).enumerate() {
                let handed_back = handed_back(gradient.over(n, row, column), index, dy, block * BLOCK);
                dx.copy_from_slice(&handed_back[..dx.len()]);
            }
        });
    })
}

/// What the outputs that these taps lead to hand back to a block of channels of a pixel from `channel` on, in order.
#[inline(always)]
fn handed_back(taps: impl Iterator<Item = Tap>, index: &[u32], dy: &[f32], channel: usize) -> [f32; BLOCK] {
    let mut dx = [0.0; BLOCK];
    for tap in taps {
        let (index, dy) = (block(&index[tap.at + channel..]), block(&dy[tap.at + channel..]));
        for k in 0..BLOCK {
            dx[k] += if index[k] == tap.number as u32 { dy[k] } else { 0.0 };
        }
    }
    dx
}

/// How a sum becomes a mean, rounded once.
#[derive(Clone, Copy)]
enum Mean {
    /// Of a power of two: the product with its inverse is the quotient, and is computed in a fraction of the time.
    Times(f64),
    /// Of any other number.
    Over(f64),
}

impl Mean {
    fn of(taps: usize) -> Self {
        if taps.is_power_of_two() { Self::Times(1.0 / taps as f64) } else { Self::Over(taps as f64) }
    }

    #[inline(always)]
    fn rounded(self, sum: f64) -> f32 {
        match self {
            Self::Times(inverse) => (sum * inverse) as f32,
            Self::Over(taps) => (sum / taps) as f32,
        }
    }
}

/// The kernel of [`binary_nets_graph::ops::AvgPool2d`].
pub fn prepare_avg(window: Window, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, pool) = (target.isa, Pool::new(window, &io.inputs[0].shape, &io.outputs[0].shape));
    plain(isa.name(), move |io| {
        let x = io.input::<f32>(0);
        pool.for_pixels(isa, io.threads(), io.output::<f32>(0), pool.pooled, |n, row, column, y| {
            let mean = Mean::of(window.padded_taps(pool.image, [row, column]));
            for (i, y) in y.chunks_mut(BLOCK).enumerate() {
                let mut sum = [0.0; BLOCK];
                for tap in pool.under(n, row, column) {
                    let x = block(&x[tap.at + i * BLOCK..]);
                    sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += f64::from(x));
                }
                y.iter_mut().zip(sum).for_each(|(y, sum)| *y = mean.rounded(sum));
            }
        });
    })
}

/// The kernel of [`binary_nets_graph::ops::AvgPool2dGrad`].
pub fn prepare_avg_grad(window: Window, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let (isa, pool) = (target.isa, Pool::new(window, &io.outputs[0].shape, &io.inputs[0].shape));
    let gradient = Gradient::new(pool);
    plain(isa.name(), move |io| {
        let dy = io.input::<f32>(0);
        pool.for_pixels(isa, io.threads(), io.output::<f32>(0), pool.image, |n, row, column, dx| {
            dx.fill(0.0);
            for tap in gradient.over(n, row, column) {
                let taps = window.padded_taps(pool.image, tap.output) as f32;
                dx.iter_mut().zip(&dy[tap.at..]).for_each(|(dx, &dy)| *dx += dy / taps);
            }
        });
    })
}
