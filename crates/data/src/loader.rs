//! Batches prepared on background threads.

use std::collections::VecDeque;
use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::augment::augment_random;
use crate::{Augmentation, DataError, Dataset, Sampler, SamplerState};

/// How long a wait for a batch goes on before it looks whether it was cancelled.
const PATIENCE: Duration = Duration::from_millis(10);

/// How a [`Loader`] makes batches.
#[derive(Clone, Debug)]
pub struct LoaderOptions {
    /// Samples in a batch.
    pub batch_size: usize,
    /// Whether an epoch leaves out a last batch that would be smaller: true for training, false for evaluation.
    pub drop_last: bool,
    /// Variations applied to each image, in order.
    pub augment: Vec<Augmentation>,
    /// The seed of the augmentations.
    pub seed: u64,
    /// Threads that decode. Their number never changes the batches.
    pub workers: usize,
    /// Batches that exist at once: handed out, ready and in preparation together.
    pub buffers: usize,
}

impl LoaderOptions {
    /// Plain batches of this size: no augmentation, smaller last batch, one worker, three buffers.
    pub fn new(batch_size: usize) -> Self {
        Self { batch_size, drop_last: false, augment: Vec::new(), seed: 0, workers: 1, buffers: 3 }
    }
}

/// The content of a batch of n samples.
#[derive(Debug, Default, PartialEq)]
pub struct Samples {
    /// `[n, height, width, channels]`.
    pub images: Vec<u8>,
    /// `[n]`.
    pub labels: Vec<u32>,
    /// `[n, k]`: the k targets of each sample; empty where the dataset has none.
    pub targets: Vec<f32>,
    /// `[n]`: each sample's index in the dataset.
    pub indices: Vec<u32>,
}

impl Samples {
    /// The number of samples, n.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none; never so in a batch that a loader handed out.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// [`Samples`] on loan: dropping the batch gives its memory back to the loader for another one.
#[derive(Debug)]
pub struct Batch {
    samples: Samples,
    home: Arc<Shared>,
}

impl Deref for Batch {
    type Target = Samples;

    fn deref(&self) -> &Samples {
        &self.samples
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.samples));
    }
}

/// Prepares batches on background threads while others are in use, epoch after epoch.
///
/// Batch contents are a pure function of dataset, sampler, options and state. A fixed number of buffers circulates;
/// a caller that keeps all of them makes the loader allocate another, so it never waits for itself.
/// Dropping the loader ends its threads after the image that each is at.
#[derive(Debug)]
pub struct Loader {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    state: SamplerState,
    waited: Duration,
}

impl Loader {
    /// Starts the threads. `state` is where to start: the default for a new run, or one from [`Loader::state`].
    ///
    /// Fails when an option is zero or does not suit the dataset or the sampler, when an epoch would have no batch, or
    /// when the state lies outside of its epoch.
    pub fn new(
        dataset: Arc<dyn Dataset>,
        sampler: Arc<dyn Sampler>,
        options: LoaderOptions,
        state: SamplerState,
    ) -> Result<Self, DataError> {
        check(&*dataset, &*sampler, &options, state)?;
        let workers = options.workers;
        let queue = Queue {
            free: (0..options.buffers).map(|_| Samples::default()).collect(),
            made: options.buffers,
            pending: VecDeque::new(),
            first: 0,
            epoch: state.epoch,
            position: state.position as usize,
            order: sampler.order(state.epoch).into(),
            failed: false,
        };
        let shared = Arc::new(Shared {
            dataset,
            sampler,
            options,
            queue: Mutex::new(queue),
            buffer_freed: Condvar::new(),
            batch_done: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let mut loader = Self { shared, threads: Vec::new(), state, waited: Duration::ZERO };
        for worker in 0..workers {
            let shared = Arc::clone(&loader.shared);
            let thread = thread::Builder::new().name(format!("data-{worker}")).spawn(move || work(&shared));
            // An error drops the loader, which ends the threads already started.
            loader
                .threads
                .push(thread.map_err(|error| DataError::option("workers", "threads that can start", &error))?);
        }
        Ok(loader)
    }

    /// The next batch, or `None` at the end of the epoch; the call after that begins the next epoch.
    ///
    /// Returns the error of a batch in that batch's turn; from then on [`DataError::Stopped`].
    pub fn next_batch(&mut self) -> Result<Option<Batch>, DataError> {
        self.next_batch_unless(&AtomicBool::new(false))
    }

    /// As [`Self::next_batch`], but once `cancelled` is set it waits no longer than a moment and fails with [`DataError::Cancelled`]; the batch comes with
    /// the next call.
    pub fn next_batch_unless(&mut self, cancelled: &AtomicBool) -> Result<Option<Batch>, DataError> {
        let start = Instant::now();
        let outcome = self.shared.wait(cancelled);
        self.waited += start.elapsed();
        match outcome? {
            Outcome::Filled(samples) => {
                self.state.position += samples.len() as u64;
                Ok(Some(Batch { samples, home: Arc::clone(&self.shared) }))
            }
            Outcome::EndOfEpoch => {
                self.state = SamplerState { epoch: self.state.epoch + 1, position: 0 };
                Ok(None)
            }
            Outcome::Failed(error) => Err(error),
        }
    }

    /// The state after what was handed out, whatever has been prepared beyond: the state to save in a checkpoint.
    pub fn state(&self) -> SamplerState {
        self.state
    }

    /// How long all calls together have waited for their batches.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// What the batches are made of.
    pub fn dataset(&self) -> &dyn Dataset {
        &*self.shared.dataset
    }

    /// How many batches a whole epoch has.
    pub fn batches_per_epoch(&self) -> usize {
        let (len, size) = (self.shared.sampler.len(), self.shared.options.batch_size);
        if self.shared.options.drop_last { len / size } else { len.div_ceil(size) }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Whoever has seen `stop` unset and is about to wait holds the lock until it waits, so it hears the call.
        drop(self.shared.lock());
        self.shared.buffer_freed.notify_all();
        for thread in self.threads.drain(..) {
            // A panic was already reported by `next_batch`.
            let _ = thread.join();
        }
    }
}

fn check(
    dataset: &dyn Dataset,
    sampler: &dyn Sampler,
    options: &LoaderOptions,
    state: SamplerState,
) -> Result<(), DataError> {
    let (len, size) = (sampler.len(), options.batch_size);
    for (option, value) in [("batchSize", size), ("workers", options.workers), ("buffers", options.buffers)] {
        if value == 0 {
            return Err(DataError::option(option, "at least 1", &value));
        }
    }
    if len == 0 || dataset.is_empty() {
        return Err(DataError::Empty { what: "the epoch".into() });
    }
    if let Some(needed) = sampler.batch_size().filter(|&needed| needed != size) {
        return Err(DataError::option("batchSize", format!("{needed}, as the sampler composes"), &size));
    }
    if options.drop_last && len < size {
        return Err(DataError::option("batchSize", format!("at most {len}, the samples of an epoch"), &size));
    }
    if state.position > len as u64 {
        return Err(DataError::option("position", format!("at most {len}, the samples of an epoch"), &state.position));
    }
    options.augment.iter().try_for_each(|augmentation| augmentation.check(dataset.shape()))
}

/// What the loader, its threads and its batches share.
struct Shared {
    dataset: Arc<dyn Dataset>,
    sampler: Arc<dyn Sampler>,
    options: LoaderOptions,
    queue: Mutex<Queue>,
    /// A worker waits for a buffer.
    buffer_freed: Condvar,
    /// The loader waits for the first pending batch.
    batch_done: Condvar,
    stop: AtomicBool,
}

struct Queue {
    free: Vec<Samples>,
    /// Buffers in existence.
    made: usize,
    /// What is to be handed out, in order; `None` is still being filled.
    pending: VecDeque<Option<Outcome>>,
    /// The number, counted from the start, of the first one pending.
    first: u64,
    /// Where the next task begins.
    epoch: u64,
    position: usize,
    order: Arc<[u32]>,
    /// An error was handed out, or a worker panicked.
    failed: bool,
}

enum Outcome {
    Filled(Samples),
    EndOfEpoch,
    Failed(DataError),
}

/// A batch to fill: the samples `range` of an epoch's order.
struct Task {
    number: u64,
    epoch: u64,
    order: Arc<[u32]>,
    range: Range<usize>,
    samples: Samples,
}

fn work(shared: &Shared) {
    let _report = ReportPanic(shared);
    let mut scratch = Vec::new();
    while let Some(mut task) = shared.take_task() {
        let outcome = match shared.fill(&mut task, &mut scratch) {
            Ok(()) => Outcome::Filled(task.samples),
            Err(error) => Outcome::Failed(error),
        };
        shared.finish(task.number, outcome);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic elsewhere is told by `failed`; the queue itself changes in single steps.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits for a free buffer and takes the next batch to fill with it. Buffer and batch are taken together, in order,
    /// so the batch that is needed first always has a buffer. `None` when the loader is dropped.
    fn take_task(&self) -> Option<Task> {
        let mut queue = self.lock();
        let samples = loop {
            if self.stopped() {
                return None;
            }
            match queue.free.pop() {
                Some(samples) => break samples,
                None => queue = self.buffer_freed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        };
        let size = self.options.batch_size;
        let left = queue.order.len() - queue.position;
        if left == 0 || (self.options.drop_last && left < size) {
            queue.pending.push_back(Some(Outcome::EndOfEpoch));
            self.batch_done.notify_one();
            queue.epoch += 1;
            queue.position = 0;
            queue.order = self.sampler.order(queue.epoch).into();
        }
        let range = queue.position..queue.order.len().min(queue.position + size);
        queue.position = range.end;
        queue.pending.push_back(None);
        let number = queue.first + queue.pending.len() as u64 - 1;
        Some(Task { number, epoch: queue.epoch, order: Arc::clone(&queue.order), range, samples })
    }

    fn fill(&self, task: &mut Task, scratch: &mut Vec<u8>) -> Result<(), DataError> {
        let (shape, classes) = (self.dataset.shape(), self.dataset.classes().len());
        let targets = self.dataset.targets();
        let samples = &mut task.samples;
        samples.images.resize(task.range.len() * shape.bytes(), 0);
        samples.targets.resize(task.range.len() * targets, 0.0);
        samples.labels.clear();
        samples.indices.clear();
        for (place, image) in samples.images.chunks_exact_mut(shape.bytes()).enumerate() {
            let position = task.range.start + place;
            if self.stopped() {
                return Err(DataError::Stopped);
            }
            let index = task.order[position] as usize;
            if index >= self.dataset.len() {
                return Err(DataError::IndexOutOfRange { index, len: self.dataset.len() });
            }
            self.dataset.read(index, image)?;
            let random = augment_random(self.options.seed, task.epoch, position as u64);
            for (place, augmentation) in self.options.augment.iter().enumerate() {
                augmentation.apply(image, shape, random.child(place as u64), scratch);
            }
            let label = self.dataset.label(index);
            if label as usize >= classes {
                return Err(DataError::LabelOutOfRange { index, label, classes });
            }
            self.dataset.read_target(index, &mut samples.targets[place * targets..][..targets]);
            samples.labels.push(label);
            samples.indices.push(index as u32);
        }
        Ok(())
    }

    fn finish(&self, number: u64, outcome: Outcome) {
        let mut queue = self.lock();
        let place = (number - queue.first) as usize;
        queue.pending[place] = Some(outcome);
        self.batch_done.notify_one();
    }

    /// Waits for the first pending outcome, looking now and then whether it is still wanted.
    fn wait(&self, cancelled: &AtomicBool) -> Result<Outcome, DataError> {
        let mut queue = self.lock();
        loop {
            if queue.failed {
                return Err(DataError::Stopped);
            }
            if let Some(Some(_)) = queue.pending.front() {
                let outcome = queue.pending.pop_front().flatten().ok_or(DataError::Stopped)?;
                queue.first += 1;
                queue.failed = matches!(outcome, Outcome::Failed(_));
                return Ok(outcome);
            }
            if queue.pending.is_empty() && queue.free.is_empty() {
                // The caller holds every buffer.
                queue.made += 1;
                queue.free.push(Samples::default());
                self.buffer_freed.notify_one();
            }
            if cancelled.load(Ordering::Relaxed) {
                return Err(DataError::Cancelled);
            }
            queue = self.batch_done.wait_timeout(queue, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn give_back(&self, samples: Samples) {
        let mut queue = self.lock();
        if queue.made > self.options.buffers {
            queue.made -= 1;
        } else {
            queue.free.push(samples);
            self.buffer_freed.notify_one();
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Tells the loader when a worker panics, in a dataset or sampler from elsewhere, so that it does not wait for ever.
struct ReportPanic<'a>(&'a Shared);

impl Drop for ReportPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().failed = true;
            self.0.batch_done.notify_one();
        }
    }
}
