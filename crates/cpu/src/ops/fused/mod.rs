//! Fused ops: rows of a map from a convolution of bits, or from a map, through a few steps in the nearest cache to floats and bits.

mod chain;
mod pooled;
mod source;
mod steps;
mod threshold;

use std::marker::PhantomData;

use binary_nets_bits::Codes;
use binary_nets_exec::{ExecError, InPlace, IoMeta, Layout, Prepared, Storage};
use binary_nets_graph::ops::{Border, Fused};
use binary_nets_kernels::binary_conv2d::Dot;
use binary_nets_kernels::image_conv2d::Sum;
use binary_nets_kernels::{self as kernels, Isa, KernelError, pack_codes};
use bytemuck::Pod;

use self::chain::Chain;
use self::pooled::Pooled;
use self::source::{Affine, Binary, Chunk, Floats, Image, Source, Ternary, words};
use self::steps::{Place, Step};
use self::threshold::Threshold;
use super::affine::{Finish, Number, case_starts};
use super::binary_conv2d::{Strips, geometry, packing};
use super::elementwise::CHUNK;
use super::laid::{self, consumed};
use super::packed::PackedRows;
use super::stem;
use crate::io::{Inputs, Io, Kernel};
use crate::target::Target;

/// Elements that go through all steps together: few enough to stay in the nearest cache with an operand beside them.
const PIECE: usize = 1 << 11;

/// The kernel of a fused op.
struct Rows<S> {
    isa: Isa,
    source: S,
    relu: bool,
    /// The map that is added right behind the source, and whether the sum is rectified.
    sum: Option<(usize, bool)>,
    steps: Vec<Step>,
    coding: Vec<Step>,
    map: Option<usize>,
    codes: Option<(Codes, usize, PackedRows)>,
    channels: usize,
    /// Pixels of a chunk.
    chunk: usize,
}

pub fn prepare(op: &Fused, io: &IoMeta, target: Target) -> Result<Prepared<Kernel>, ExecError> {
    let unsupported = |reason: String| ExecError::Unsupported { op: "fused", path: io.path.to_owned(), reason };
    let chain = Chain::new(op, io).map_err(unsupported)?;
    let refused = |e: KernelError| unsupported(e.to_string());
    let channels = chain.shape.channels();
    match &chain.source {
        chain::Source::Binary { conv, a, c } => {
            let (codes, _) = packing(io.inputs[0]);
            let geometry = geometry(&conv.window, io);
            let conv = kernels::BinaryConv2d::new(geometry, codes, conv.pad_value, target.isa).map_err(refused)?;
            let (strips, a, c) = (Strips::new(conv.geometry().out_size(), target.threads), *a, *c);
            let threshold = op.is_threshold(&io.inputs, &io.constant);
            Ok(if conv.dot_bound() <= <i16 as Dot>::BOUND {
                let source = Binary::<i16> { conv, strips, a, c, dots: PhantomData };
                binary(source, chain, io, target, threshold)
            } else {
                let source = Binary::<i32> { conv, strips, a, c, dots: PhantomData };
                binary(source, chain, io, target, threshold)
            })
        }
        chain::Source::Ternary { conv, constants } => {
            let (codes, _) = packing(io.inputs[0]);
            let geometry = geometry(&conv.window, io);
            let conv = kernels::TernaryConv2d::new(geometry, codes, conv.pad_value, target.isa).map_err(refused)?;
            let (strips, constants) = (Strips::new(conv.geometry().out_size(), target.threads), *constants);
            let (name, pixels, consumed) = (conv.kernel_name(), strips.pixels(), consumed(io, &[1, 2]));
            Ok(if conv.dot_bound() <= <i16 as Dot>::BOUND {
                let source = Ternary::<i16> { conv, strips, constants, sums: PhantomData };
                Rows::new(source, chain, io, target, pixels).prepare(name, target, consumed)
            } else {
                let source = Ternary::<i32> { conv, strips, constants, sums: PhantomData };
                Rows::new(source, chain, io, target, pixels).prepare(name, target, consumed)
            })
        }
        chain::Source::Image { conv, a, c, border } => {
            let conv = stem::convolution(conv, io, target.isa).map_err(refused)?;
            let size = conv.geometry().out_size();
            let (strips, starts) = (Strips::new(size, target.threads), starts(*border, &size, channels));
            let (a, c) = (*a, *c);
            let consumed = consumed(io, &[1]);
            Ok(if conv.sum_bound() <= <i32 as Sum>::BOUND {
                image(Image::<i32> { conv, strips, a, c, starts, sums: PhantomData }, chain, io, target, consumed)
            } else {
                image(Image::<i64> { conv, strips, a, c, starts, sums: PhantomData }, chain, io, target, consumed)
            })
        }
        &chain::Source::Affine { x, a, c, border } => {
            let starts = starts(border, io.inputs[x].shape.get(1..3).unwrap_or_default(), channels);
            let affine = MapAffine { x, a, c, starts };
            Ok(match Layout::interchange(io.inputs[x]).storage {
                Storage::U8 => affine.prepare::<u8>(chain, io, target),
                Storage::I16 => affine.prepare::<i16>(chain, io, target),
                Storage::I32 => affine.prepare::<i32>(chain, io, target),
                Storage::I64 => affine.prepare::<i64>(chain, io, target),
                Storage::F32 => affine.prepare::<f32>(chain, io, target),
                Storage::U64 | Storage::U32 => return Err(unsupported(format!("an affine of {}", io.inputs[x]))),
            })
        }
        &chain::Source::Floats { x } => Ok(over_map(Floats { channels, x }, chain, io, target)),
    }
}

/// Where the c of each pixel of an image starts.
fn starts(border: Option<Border>, size: &[usize], channels: usize) -> Vec<usize> {
    border.map_or(vec![0], |border| case_starts(border, size.try_into().unwrap_or_default(), channels))
}

fn binary<T: Dot + Pod + Number + TryFrom<i32>>(
    source: Binary<T>,
    chain: Chain,
    io: &IoMeta,
    target: Target,
    threshold: bool,
) -> Prepared<Kernel> {
    let (name, pixels, codes) = (source.conv.kernel_name(), source.strips.pixels(), chain.codes);
    let rows = Rows::new(source, chain, io, target, pixels);
    match codes {
        Some((codes, _)) if threshold => Threshold { rows, codes }.prepare(io, target),
        _ => rows.prepare(name, target, consumed(io, &[1])),
    }
}

fn image<T: Sum + Pod + Number>(
    source: Image<T>,
    chain: Chain,
    io: &IoMeta,
    target: Target,
    consumed: Option<Vec<usize>>,
) -> Prepared<Kernel> {
    let (name, pixels) = (source.conv.kernel_name(), source.strips.pixels());
    match chain.pool {
        Some(window) => {
            let source = Pooled::new(source, window, target.threads);
            let pixels = source.pixels();
            Rows::new(source, chain, io, target, pixels).prepare(name, target, consumed)
        }
        None => Rows::new(source, chain, io, target, pixels).prepare(name, target, consumed),
    }
}

/// [`Affine`] before its numbers have a type.
struct MapAffine {
    x: usize,
    a: usize,
    c: usize,
    starts: Vec<usize>,
}

impl MapAffine {
    fn prepare<X: Number>(self, chain: Chain, io: &IoMeta, target: Target) -> Prepared<Kernel> {
        let Self { x, a, c, starts } = self;
        let channels = chain.shape.channels();
        over_map(Affine::<X> { channels, x, a, c, starts, numbers: PhantomData }, chain, io, target)
    }
}

fn over_map(source: impl Source, chain: Chain, io: &IoMeta, target: Target) -> Prepared<Kernel> {
    let pixels = (CHUNK / chain.shape.channels()).max(1);
    Rows::new(source, chain, io, target, pixels).prepare(target.isa.name(), target, None)
}

impl<S: Source> Rows<S> {
    fn new(source: S, chain: Chain, io: &IoMeta, target: Target, chunk: usize) -> Self {
        let Chain { relu, mut steps, coding, map, codes, shape, .. } = chain;
        let sum = steps.first().and_then(Step::sum).filter(|_| source.adds() && !relu);
        steps.drain(..usize::from(sum.is_some()));
        let codes = codes.map(|(codes, output)| (codes, output, PackedRows::of(io.outputs[output])));
        Self { isa: target.isa, source, relu, sum, steps, coding, map, codes, channels: shape.channels(), chunk }
    }

    fn prepare(self, name: &'static str, target: Target, consumed: Option<Vec<usize>>) -> Prepared<Kernel> {
        let sizes = laid::Sizes { laid: self.source.laid_words(), scratch: target.threads * self.lane_words() };
        let lay = |rows: &Self, io: &Io<'_>, laid: &mut [u64]| rows.source.lay(io.inputs(), laid);
        // Nothing else may read what a sum replaces.
        let others = || self.steps.iter().chain(&self.coding);
        let read_again = |input| self.source.reads(input) || others().any(|step| step.change.reads(input));
        let in_place = self.sum.zip(self.map).filter(|((input, _), _)| !read_again(*input));
        let in_place = in_place.map(|((input, _), output)| InPlace { inputs: vec![input], output });
        Prepared { in_place, ..laid::prepare(name, consumed, sizes, self, lay, Self::run) }
    }

    /// Pixels of a piece.
    fn piece(&self) -> usize {
        self.source.together().unwrap_or(PIECE / self.channels).clamp(1, self.chunk)
    }

    /// Scratch words of a lane: the source's, a piece, and one beside it.
    fn lane_words(&self) -> usize {
        self.source.scratch_words() + 2 * words::<f32>(self.piece() * self.channels)
    }

    fn run(&self, io: &Io<'_>, laid: &[u64], lanes: &mut [u64]) {
        let (inputs, threads, per_lane) = (io.inputs(), io.threads(), self.lane_words());
        let map = self.map.map(|output| (io.output::<f32>(output), self.chunk * self.channels));
        let codes =
            self.codes.as_ref().map(|(_, output, rows)| (io.output::<u64>(*output), self.chunk * rows.row_words()));
        match (map, codes) {
            (Some(map), Some(codes)) => {
                threads.for_chunks2_with(map, codes, lanes, per_lane, |i, map, codes, scratch| {
                    self.chunk(inputs, laid, i, Some(map), Some(codes), scratch);
                });
            }
            (Some((map, len)), None) => threads.for_chunks_with(map, len, lanes, per_lane, |i, map, scratch| {
                self.chunk(inputs, laid, i, Some(map), None, scratch);
            }),
            (None, Some((codes, len))) => threads.for_chunks_with(codes, len, lanes, per_lane, |i, codes, scratch| {
                self.chunk(inputs, laid, i, None, Some(codes), scratch);
            }),
            (None, None) => {}
        }
    }

    /// One chunk of the outputs, piece by piece.
    fn chunk(
        &self,
        inputs: &Inputs<'_>,
        laid: &[u64],
        i: usize,
        mut map: Option<&mut [f32]>,
        mut codes: Option<&mut [u64]>,
        scratch: &mut [u64],
    ) {
        let (scratch, pieces) = scratch.split_at_mut(self.source.scratch_words());
        let (channels, first) = (self.channels, i * self.chunk);
        let chunk = Chunk { inputs, laid, number: i, first };
        self.source.begin(chunk, scratch);
        let (here, beside) = pieces.split_at_mut(words::<f32>(self.piece() * channels));
        let [here, beside] = [here, beside].map(bytemuck::cast_slice_mut::<u64, f32>);
        let row_words = self.codes.as_ref().map_or(1, |(_, _, rows)| rows.row_words());
        let pixels = match (&map, &codes) {
            (Some(map), _) => map.len() / channels,
            (None, Some(codes)) => codes.len() / row_words,
            (None, None) => 0,
        };
        for start in (0..pixels).step_by(self.piece()) {
            let end = pixels.min(start + self.piece());
            let len = (end - start) * channels;
            let place = Place { inputs, pixel: first + start, channels };
            let (here, beside) = (&mut here[..len], &mut beside[..len]);
            // Behind a map that leaves, the steps to the codes go on with a copy.
            let (y, copy) = match &mut map {
                Some(map) => (&mut map[start * channels..end * channels], here),
                None => (here, &mut [][..]),
            };
            let finish = match self.sum {
                Some((input, relu)) if inputs.is_replaced(input) => Finish::AddOld(relu),
                Some((input, relu)) => Finish::Add(place.of_map(input, len), relu),
                None if self.relu => Finish::Relu,
                None => Finish::Plain,
            };
            self.isa.vectorize(
                #[inline(always)]
                || self.source.rows(chunk, scratch, start..end, finish, y),
            );
            steps::run(self.isa, &self.steps, place, y, beside);
            if let (Some(packed), Some((codes, _, rows))) = (&mut codes, &self.codes) {
                let packed = &mut packed[start * row_words..end * row_words];
                let layout = rows.layout(end - start);
                if self.coding.is_empty() {
                    pack_codes(self.isa, *codes, y, layout, packed);
                } else {
                    copy.copy_from_slice(y);
                    steps::run(self.isa, &self.coding, place, copy, beside);
                    pack_codes(self.isa, *codes, copy, layout, packed);
                }
            }
        }
    }
}
