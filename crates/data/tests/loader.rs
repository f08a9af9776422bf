//! The loader against a plain loop, interrupted, resumed, failing and dropped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use binary_nets_data::{
    Augmentation, Balanced, Batch, DataError, Dataset, ImageShape, InMemory, Loader, LoaderOptions, Random, Sampler,
    SamplerState, Samples, Sequential, Shuffle,
};

const SHAPE: ImageShape = ImageShape { height: 4, width: 5, channels: 2 };

/// Images, labels and two targets a sample.
fn dataset(len: usize) -> Arc<InMemory> {
    let images = (0..len * SHAPE.bytes()).map(|i| (i * 31 % 253) as u8).collect();
    let labels = (0..len as u32).map(|i| i % 3).collect();
    let whole = InMemory::new(SHAPE, images, labels, ["a", "b", "c"].map(String::from).to_vec()).unwrap();
    Arc::new(whole.with_targets((0..2 * len).map(|i| i as f32 / 4.0).collect()).unwrap())
}

fn options(batch_size: usize, drop_last: bool, workers: usize) -> LoaderOptions {
    let augment =
        vec![Augmentation::RandomCrop { padding: 2, fill: 1 }, Augmentation::HorizontalFlip { probability: 0.5 }];
    LoaderOptions { drop_last, workers, augment, seed: 77, ..LoaderOptions::new(batch_size) }
}

fn start(dataset: Arc<dyn Dataset>, sampler: impl Sampler + 'static, options: LoaderOptions) -> Loader {
    Loader::new(dataset, Arc::new(sampler), options, SamplerState::default()).unwrap()
}

/// What a loader yields over some epochs, made in one thread by a plain loop; `None` ends an epoch.
fn plain_loop(
    dataset: &dyn Dataset,
    sampler: &dyn Sampler,
    options: &LoaderOptions,
    epochs: u64,
) -> Vec<Option<Samples>> {
    let mut batches = Vec::new();
    for epoch in 0..epochs {
        let order = sampler.order(epoch);
        for (number, chunk) in order.chunks(options.batch_size).enumerate() {
            if options.drop_last && chunk.len() < options.batch_size {
                break;
            }
            let mut samples = Samples::default();
            for (place, &index) in chunk.iter().enumerate() {
                let mut image = vec![0; dataset.shape().bytes()];
                dataset.read(index as usize, &mut image).unwrap();
                let position = (number * options.batch_size + place) as u64;
                let random = Random::new(options.seed).child(1).child(epoch).child(position);
                for (place, augmentation) in options.augment.iter().enumerate() {
                    augmentation.apply(&mut image, dataset.shape(), random.child(place as u64), &mut Vec::new());
                }
                samples.images.extend(image);
                samples.labels.push(dataset.label(index as usize));
                let mut target = vec![0.0; dataset.targets()];
                dataset.read_target(index as usize, &mut target);
                samples.targets.extend(target);
                samples.indices.push(index);
            }
            batches.push(Some(samples));
        }
        batches.push(None);
    }
    batches
}

/// Runs a test that a mistake would make wait for ever.
fn in_time(test: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(test);
    let end = Instant::now() + Duration::from_secs(20);
    while !thread.is_finished() {
        assert!(Instant::now() < end, "the test waits for ever");
        thread::sleep(Duration::from_millis(1));
    }
    thread.join().unwrap();
}

fn assert_same(got: Option<&Batch>, expected: Option<&Samples>) {
    assert_eq!(got.map(|batch| &**batch), expected);
}

#[test]
fn equals_a_plain_loop_for_any_number_of_workers_and_buffers() {
    let dataset = dataset(50);
    for (batch_size, drop_last) in [(8, true), (8, false), (10, true), (10, false), (50, true), (64, false), (1, true)]
    {
        let sampler = Shuffle::new(50, 5);
        let options = options(batch_size, drop_last, 1);
        let expected = plain_loop(&*dataset, &sampler, &options, 3);
        for (workers, buffers) in [(1, 3), (3, 3), (3, 1), (1, 1), (2, 8)] {
            let mut loader = start(dataset.clone(), sampler, LoaderOptions { workers, buffers, ..options.clone() });
            assert_eq!(loader.batches_per_epoch() * 3 + 3, expected.len());
            for batch in &expected {
                assert_same(loader.next_batch().unwrap().as_ref(), batch.as_ref());
            }
        }
    }
}

#[test]
fn resuming_anywhere_yields_the_rest() {
    let dataset = dataset(22);
    for drop_last in [true, false] {
        let sampler = Shuffle::new(22, 5);
        let options = options(5, drop_last, 2);
        let expected = plain_loop(&*dataset, &sampler, &options, 3);
        let mut whole = start(dataset.clone(), sampler, options.clone());
        for done in 0..=expected.len() {
            let state = whole.state();
            let mut resumed = Loader::new(dataset.clone(), Arc::new(sampler), options.clone(), state).unwrap();
            assert_eq!(resumed.state(), state);
            for batch in &expected[done..] {
                assert_same(resumed.next_batch().unwrap().as_ref(), batch.as_ref());
            }
            assert_eq!(resumed.state(), SamplerState { epoch: 3, position: 0 });
            whole.next_batch().unwrap();
        }
    }
}

#[test]
fn the_state_counts_what_was_handed_out_not_what_is_ready() {
    let mut loader = start(dataset(10), Sequential::new(10), options(4, false, 1));
    let mut states = vec![loader.state()];
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(5)); // let it prepare ahead
        loader.next_batch().unwrap();
        states.push(loader.state());
    }
    let expected = [(0, 0), (0, 4), (0, 8), (0, 10), (1, 0), (1, 4)];
    assert_eq!(states, expected.map(|(epoch, position)| SamplerState { epoch, position }));
}

#[test]
fn composed_batches_pass_through() {
    let dataset = dataset(30);
    let sampler = Arc::new(Balanced::new(&dataset.labels(), 2, 4, 1).unwrap());
    let options = LoaderOptions { drop_last: true, ..LoaderOptions::new(8) };
    let mut loader = Loader::new(dataset.clone(), sampler.clone(), options, SamplerState::default()).unwrap();
    let batch = loader.next_batch().unwrap().unwrap();
    assert_eq!(batch.labels.iter().collect::<BTreeSet<_>>().len(), 2);
    let error = Loader::new(dataset, sampler, LoaderOptions::new(6), SamplerState::default()).unwrap_err();
    assert!(matches!(error, DataError::InvalidOption { option: "batchSize", .. }), "{error}");
}

#[test]
fn buffers_are_recycled() {
    let mut loader = start(dataset(64), Shuffle::new(64, 5), options(8, true, 2));
    let mut places = BTreeSet::new();
    for _ in 0..100 {
        if let Some(batch) = loader.next_batch().unwrap() {
            places.insert(batch.images.as_ptr() as usize);
        }
    }
    assert!(places.len() <= 3, "{} buffers", places.len());
}

#[test]
fn keeping_every_batch_never_waits_for_ever() {
    in_time(|| {
        let dataset = dataset(64);
        let sampler = Shuffle::new(64, 5);
        let options = options(8, true, 2);
        let expected = plain_loop(&*dataset, &sampler, &options, 2);
        let mut loader = start(dataset, sampler, options);
        let kept: Vec<Option<Batch>> = expected.iter().map(|_| loader.next_batch().unwrap()).collect();
        drop(loader);
        for (batch, expected) in kept.iter().zip(&expected) {
            assert_same(batch.as_ref(), expected.as_ref());
        }
    });
}

/// A dataset whose sample `bad` fails, panics or is labelled beyond the classes, and which takes its time.
struct Troubled {
    trouble: fn(usize) -> Result<u32, DataError>,
    pause: Duration,
    reads: AtomicUsize,
}

impl Troubled {
    fn new(trouble: fn(usize) -> Result<u32, DataError>) -> Arc<Self> {
        Arc::new(Self { trouble, pause: Duration::ZERO, reads: AtomicUsize::new(0) })
    }
}

impl Dataset for Troubled {
    fn len(&self) -> usize {
        100
    }

    fn shape(&self) -> ImageShape {
        SHAPE
    }

    fn classes(&self) -> &[String] {
        const { &[String::new()] }
    }

    fn label(&self, index: usize) -> u32 {
        (self.trouble)(index).unwrap_or(0)
    }

    fn read(&self, index: usize, _image: &mut [u8]) -> Result<(), DataError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        thread::sleep(self.pause);
        (self.trouble)(index).map(|_| ())
    }
}

type IsExpected = fn(&DataError) -> bool;

#[test]
fn errors_come_in_the_turn_of_their_batch_and_end_the_loader() {
    let empty = |index| if index == 13 { Err(DataError::Empty { what: "sample 13".into() }) } else { Ok(0) };
    let label = |index| Ok(u32::from(index == 13));
    for workers in [1, 3] {
        let expect: [(Arc<Troubled>, IsExpected); 2] = [
            (Troubled::new(empty), |error| matches!(error, DataError::Empty { what } if what == "sample 13")),
            (Troubled::new(label), |error| matches!(error, DataError::LabelOutOfRange { index: 13, label: 1, .. })),
        ];
        for (dataset, is_expected) in expect {
            let mut loader = start(dataset, Sequential::new(100), options(5, true, workers));
            for number in 0..2 {
                assert_eq!(loader.next_batch().unwrap().unwrap().indices[0], number * 5);
            }
            let error = loader.next_batch().unwrap_err();
            assert!(is_expected(&error), "{error}");
            assert_eq!(loader.state(), SamplerState { epoch: 0, position: 10 });
            assert!(matches!(loader.next_batch(), Err(DataError::Stopped)));
        }
    }
    let mut loader = start(Troubled::new(|_| Ok(0)), Sequential::new(101), options(101, true, 1));
    assert!(matches!(loader.next_batch(), Err(DataError::IndexOutOfRange { index: 100, len: 100 })));
}

#[test]
fn a_panicking_dataset_stops_the_loader() {
    in_time(|| {
        let mut loader = start(Troubled::new(|_| panic!("on purpose")), Sequential::new(100), options(5, true, 2));
        assert!(matches!(loader.next_batch(), Err(DataError::Stopped)));
    });
}

#[test]
fn dropping_ends_promptly_whatever_the_threads_do() {
    in_time(|| {
        let slow = |pause| Arc::new(Troubled { trouble: |_| Ok(0), pause, reads: AtomicUsize::new(0) });
        for workers in [1, 3] {
            // At work on a batch that takes 100 * 100 ms in all.
            let dataset = slow(Duration::from_millis(100));
            let loader = start(dataset.clone(), Sequential::new(100), options(100, true, workers));
            while dataset.reads.load(Ordering::Relaxed) == 0 {
                thread::yield_now();
            }
            let before = Instant::now();
            drop(loader);
            assert!(before.elapsed() < Duration::from_secs(3), "{:?}", before.elapsed());
            assert_eq!(Arc::strong_count(&dataset), 1, "the threads are gone");

            // Waiting for a buffer, some of them with the caller, which gives them back too late.
            let dataset = slow(Duration::ZERO);
            let mut loader = start(dataset.clone(), Sequential::new(100), options(5, true, workers));
            let kept = [loader.next_batch().unwrap(), loader.next_batch().unwrap()];
            thread::sleep(Duration::from_millis(20));
            drop(loader);
            drop(kept);
            assert_eq!(Arc::strong_count(&dataset), 1);
        }
        for _ in 0..200 {
            drop(start(dataset(20), Sequential::new(20), options(5, true, 2)));
        }
    });
}

/// A dataset that is read only once its gate is open.
struct Gated(AtomicBool);

impl Dataset for Gated {
    fn len(&self) -> usize {
        4
    }

    fn shape(&self) -> ImageShape {
        SHAPE
    }

    fn classes(&self) -> &[String] {
        const { &[String::new()] }
    }

    fn label(&self, _: usize) -> u32 {
        0
    }

    fn read(&self, _: usize, _: &mut [u8]) -> Result<(), DataError> {
        while !self.0.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

#[test]
fn a_wait_that_is_cancelled_ends_and_loses_nothing() {
    in_time(|| {
        let dataset = Arc::new(Gated(AtomicBool::new(false)));
        let mut loader = start(dataset.clone(), Sequential::new(4), LoaderOptions::new(2));
        let cancelled = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&cancelled);
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(30));
            flag.store(true, Ordering::Relaxed);
        });
        assert!(matches!(loader.next_batch_unless(&cancelled), Err(DataError::Cancelled)));
        other.join().unwrap();
        assert_eq!(loader.state(), SamplerState::default());
        assert!(loader.waited() >= Duration::from_millis(20), "{:?}", loader.waited());
        dataset.0.store(true, Ordering::Relaxed);
        for indices in [[0, 1], [2, 3]] {
            assert_eq!(loader.next_batch().unwrap().unwrap().indices, indices);
        }
        assert!(loader.next_batch().unwrap().is_none());
    });
}

#[test]
fn options_that_cannot_be_are_errors() {
    let culprit = |change: fn(&mut LoaderOptions, &mut SamplerState)| {
        let (mut options, mut state) = (options(5, true, 1), SamplerState::default());
        change(&mut options, &mut state);
        match Loader::new(dataset(10), Arc::new(Sequential::new(10)), options, state).unwrap_err() {
            DataError::InvalidOption { option, .. } => option,
            error => panic!("{error} should be about an option"),
        }
    };
    assert_eq!(culprit(|options, _| options.batch_size = 0), "batchSize");
    assert_eq!(culprit(|options, _| options.batch_size = 11), "batchSize");
    assert_eq!(culprit(|options, _| options.workers = 0), "workers");
    assert_eq!(culprit(|options, _| options.buffers = 0), "buffers");
    assert_eq!(culprit(|options, _| options.augment[0] = Augmentation::RandomCrop { padding: 9, fill: 0 }), "padding");
    assert_eq!(culprit(|_, state| state.position = 11), "position");
    let empty = Loader::new(dataset(10), Arc::new(Sequential::new(0)), options(5, false, 1), SamplerState::default());
    assert!(matches!(empty, Err(DataError::Empty { .. })));
}
