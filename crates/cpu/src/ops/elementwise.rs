//! The loop of ops that compute each element on its own.

use binary_nets_kernels::Isa;

use crate::threads::Threads;

/// Elements in one piece of work: large enough that handing it out costs nothing, small enough to stay in the nearest caches.
pub const CHUNK: usize = 1 << 14;

/// Elements of a row that are computed together. That a constant says how many makes them vector code without a loop, and without a look at what overlaps what:
/// on rows of 64 channels the one takes longer than the numbers themselves.
pub const BLOCK: usize = 64;

/// A row as blocks, and what is left.
#[inline(always)]
pub fn blocks<T>(row: &[T]) -> (&[[T; BLOCK]], &[T]) {
    row.as_chunks()
}

/// `f(0), f(1), …`
#[inline(always)]
pub fn block(f: impl Fn(usize) -> f32) -> [f32; BLOCK] {
    let mut block = [0.0; BLOCK];
    for (i, y) in block.iter_mut().enumerate() {
        *y = f(i);
    }
    block
}

/// The part of `x` that belongs to chunk `i`, which has `len` elements.
#[inline(always)]
pub fn part<T>(x: &[T], i: usize, len: usize) -> &[T] {
    &x[i * CHUNK..][..len]
}

/// `min(max(x, min), max)`, without the check of the bounds that would keep a loop from becoming vector code. A NaN stays one.
#[inline(always)]
pub fn clamp(x: f32, min: f32, max: f32) -> f32 {
    let above = if x < min { min } else { x };
    if above > max { max } else { above }
}

/// `y = f(x)`; without x, of what y holds.
pub fn map(isa: Isa, threads: Threads, y: &mut [f32], x: Option<&[f32]>, f: impl Fn(f32) -> f32 + Sync) {
    threads.for_chunks(y, CHUNK, |i, y| {
        let x = x.map(|x| part(x, i, y.len()));
        isa.vectorize(
            #[inline(always)]
            || match x {
                Some(x) => y.iter_mut().zip(x).for_each(|(y, &x)| *y = f(x)),
                None => y.iter_mut().for_each(|y| *y = f(*y)),
            },
        );
    });
}

/// `y = f(a, b)`; in the place of a missing operand stands what y holds.
pub fn zip(isa: Isa, threads: Threads, y: &mut [f32], [a, b]: [Option<&[f32]>; 2], f: impl Fn(f32, f32) -> f32 + Sync) {
    threads.for_chunks(y, CHUNK, |i, y| {
        let [a, b] = [a, b].map(|x| x.map(|x| part(x, i, y.len())));
        isa.vectorize(
            #[inline(always)]
            || match (a, b) {
                (Some(a), Some(b)) => y.iter_mut().zip(a).zip(b).for_each(|((y, &a), &b)| *y = f(a, b)),
                (Some(a), None) => y.iter_mut().zip(a).for_each(|(y, &a)| *y = f(a, *y)),
                (None, Some(b)) => y.iter_mut().zip(b).for_each(|(y, &b)| *y = f(*y, b)),
                (None, None) => y.iter_mut().for_each(|y| *y = f(*y, *y)),
            },
        );
    });
}

/// `y = x`
pub fn copy(threads: Threads, y: &mut [f32], x: &[f32]) {
    threads.for_chunks(y, CHUNK, |i, y| y.copy_from_slice(part(x, i, y.len())));
}
