//! How a kernel spreads its work.
//!
//! Work falls into chunks, whose boundaries follow from the shape alone, or from the threads too where no sum crosses pixels; each lane takes a run of neighbouring chunks. So a result can
//! depend on the chunks, but never on how many lanes there are.

/// The lanes that a kernel may spread its work over. Lives inside the engine's thread pool.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    lanes: usize,
}

impl Threads {
    /// That many lanes; more than one only inside a thread pool.
    pub(crate) fn new(lanes: usize) -> Self {
        Self { lanes }
    }

    /// How many lanes there are.
    pub fn lanes(self) -> usize {
        self.lanes
    }

    /// Calls `work(i, chunk)` for each chunk of `chunk_len` elements; the last can be shorter.
    pub fn for_chunks<T: Send>(self, out: &mut [T], chunk_len: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        self.spread(Chunks::new(out, chunk_len), |first, part| {
            part.enumerate(first).for_each(|(i, chunk)| work(i, chunk));
        });
    }

    /// As [`Self::for_chunks`], each lane with `per_lane` elements of `scratch`, which must be [`Self::lanes`] times as long.
    pub fn for_chunks_with<T: Send, S: Send>(
        self,
        out: &mut [T],
        chunk_len: usize,
        scratch: &mut [S],
        per_lane: usize,
        work: impl Fn(usize, &mut [T], &mut [S]) + Sync,
    ) {
        assert!(scratch.len() >= self.lanes * per_lane, "scratch for {} lanes", self.lanes);
        self.spread((Chunks::new(out, chunk_len), Scratch { all: scratch, per_lane }), |first, (part, scratch)| {
            let scratch = &mut scratch.all[..per_lane];
            part.enumerate(first).for_each(|(i, chunk)| work(i, chunk, scratch));
        });
    }

    /// Calls `work(i, a_chunk, b_chunk)` for the chunks of two outputs that have the same number of them.
    pub fn for_chunks2<A: Send, B: Send>(
        self,
        (a, a_len): (&mut [A], usize),
        (b, b_len): (&mut [B], usize),
        work: impl Fn(usize, &mut [A], &mut [B]) + Sync,
    ) {
        self.spread((Chunks::new(a, a_len), Chunks::new(b, b_len)), |first, (a, b)| {
            a.enumerate(first).zip(b.all.chunks_mut(b.len)).for_each(|((i, a), b)| work(i, a, b));
        });
    }

    /// As [`Self::for_chunks2`], each lane with `per_lane` elements of `scratch`, which must be [`Self::lanes`] times as long.
    pub fn for_chunks2_with<A: Send, B: Send, S: Send>(
        self,
        (a, a_len): (&mut [A], usize),
        (b, b_len): (&mut [B], usize),
        scratch: &mut [S],
        per_lane: usize,
        work: impl Fn(usize, &mut [A], &mut [B], &mut [S]) + Sync,
    ) {
        assert!(scratch.len() >= self.lanes * per_lane, "scratch for {} lanes", self.lanes);
        let outputs = (Chunks::new(a, a_len), Chunks::new(b, b_len));
        self.spread((outputs, Scratch { all: scratch, per_lane }), |first, ((a, b), scratch)| {
            let scratch = &mut scratch.all[..per_lane];
            a.enumerate(first).zip(b.all.chunks_mut(b.len)).for_each(|((i, a), b)| work(i, a, b, scratch));
        });
    }

    /// Calls `work(i, a_chunk, b_chunk, c_chunk)` for the chunks of three outputs that have the same number of them.
    pub fn for_chunks3<A: Send, B: Send, C: Send>(
        self,
        (a, a_len): (&mut [A], usize),
        (b, b_len): (&mut [B], usize),
        (c, c_len): (&mut [C], usize),
        work: impl Fn(usize, &mut [A], &mut [B], &mut [C]) + Sync,
    ) {
        self.spread(((Chunks::new(a, a_len), Chunks::new(b, b_len)), Chunks::new(c, c_len)), |first, ((a, b), c)| {
            let others = b.all.chunks_mut(b.len).zip(c.all.chunks_mut(c.len));
            a.enumerate(first).zip(others).for_each(|((i, a), (b, c))| work(i, a, b, c));
        });
    }

    /// Calls `work(i, a_chunk, b_chunk, c_chunk, d_chunk)` for the chunks of `len` elements of four outputs of one length.
    pub fn for_chunks4<T: Send>(
        self,
        [a, b, c, d]: [&mut [T]; 4],
        len: usize,
        work: impl Fn(usize, &mut [T], &mut [T], &mut [T], &mut [T]) + Sync,
    ) {
        let [a, b, c, d] = [a, b, c, d].map(|all| Chunks::new(all, len));
        self.spread(((a, b), (c, d)), |first, ((a, b), (c, d))| {
            let others = b.all.chunks_mut(len).zip(c.all.chunks_mut(len)).zip(d.all.chunks_mut(len));
            a.enumerate(first).zip(others).for_each(|((i, a), ((b, c), d))| work(i, a, b, c, d));
        });
    }

    /// Gives each lane a run of neighbouring chunks: `run(number of the first, the run)`.
    fn spread<W: Split>(self, work: W, run: impl Fn(usize, W) + Sync) {
        let chunks = work.chunks();
        fork(work, 0..chunks, self.lanes, &run);
    }
}

/// Halves the lanes until one is left.
fn fork<W: Split>(work: W, chunks: std::ops::Range<usize>, lanes: usize, run: &(impl Fn(usize, W) + Sync)) {
    if lanes <= 1 || chunks.len() <= 1 {
        return run(chunks.start, work);
    }
    let left_lanes = lanes / 2;
    let left_chunks = (chunks.len() * left_lanes).div_ceil(lanes);
    let middle = chunks.start + left_chunks;
    let (left, right) = work.split(left_chunks, left_lanes);
    rayon::join(
        || fork(left, chunks.start..middle, left_lanes, run),
        || fork(right, middle..chunks.end, lanes - left_lanes, run),
    );
}

/// Work that falls into a part for the first chunks and lanes, and the rest.
trait Split: Sized + Send {
    fn chunks(&self) -> usize;
    fn split(self, chunks: usize, lanes: usize) -> (Self, Self);
}

/// A slice in chunks of `len`.
struct Chunks<'a, T> {
    all: &'a mut [T],
    len: usize,
}

impl<'a, T> Chunks<'a, T> {
    fn new(all: &'a mut [T], len: usize) -> Self {
        Self { all, len: len.max(1) }
    }

    fn enumerate(self, first: usize) -> impl Iterator<Item = (usize, &'a mut [T])> {
        (first..).zip(self.all.chunks_mut(self.len))
    }
}

impl<T: Send> Split for Chunks<'_, T> {
    fn chunks(&self) -> usize {
        self.all.len().div_ceil(self.len)
    }

    fn split(self, chunks: usize, _: usize) -> (Self, Self) {
        let (left, right) = self.all.split_at_mut((chunks * self.len).min(self.all.len()));
        (Self { all: left, len: self.len }, Self { all: right, len: self.len })
    }
}

/// Scratch memory of the lanes.
struct Scratch<'a, S> {
    all: &'a mut [S],
    per_lane: usize,
}

impl<A: Split, B: Split> Split for (A, B) {
    fn chunks(&self) -> usize {
        assert!(self.1.chunks() >= self.0.chunks(), "outputs with different numbers of chunks");
        self.0.chunks()
    }

    fn split(self, chunks: usize, lanes: usize) -> (Self, Self) {
        let (a, b) = (self.0.split(chunks, lanes), self.1.split(chunks, lanes));
        ((a.0, b.0), (a.1, b.1))
    }
}

impl<S: Send> Split for Scratch<'_, S> {
    /// There is always enough for all chunks.
    fn chunks(&self) -> usize {
        usize::MAX
    }

    fn split(self, _: usize, lanes: usize) -> (Self, Self) {
        let (left, right) = self.all.split_at_mut(lanes * self.per_lane);
        (Self { all: left, per_lane: self.per_lane }, Self { all: right, per_lane: self.per_lane })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_is_visited_once_on_any_number_of_lanes() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for (len, chunk_len, lanes) in [(0, 4, 3), (1, 4, 3), (17, 4, 1), (17, 4, 3), (17, 4, 9), (40, 1, 5)] {
            let (mut a, mut b) = (vec![0; len], vec![0; len.div_ceil(chunk_len) * 2]);
            let mut scratch = vec![0; lanes * 2];
            pool.install(|| {
                let threads = Threads::new(lanes);
                threads.for_chunks(&mut a, chunk_len, |i, chunk| chunk.iter_mut().for_each(|x| *x += i + 1));
                threads.for_chunks2((&mut a, chunk_len), (&mut b, 2), |i, a, b| {
                    for x in a {
                        *x += 100;
                    }
                    b.fill(i + 1);
                });
                threads.for_chunks_with(&mut b, 2, &mut scratch, 2, |_, _, scratch| scratch[1] += 1);
            });
            assert!(a.iter().enumerate().all(|(i, &x)| x == i / chunk_len + 101), "{len} by {chunk_len} on {lanes}");
            assert!(b.iter().enumerate().all(|(i, &x)| x == i / 2 + 1));
            assert_eq!(scratch.iter().sum::<usize>(), len.div_ceil(chunk_len));
        }
    }
}
