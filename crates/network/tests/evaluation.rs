//! Evaluation and prediction: the frozen network gives the same bits whatever runs it, and follows the states.

mod tiny;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use binary_nets_cpu::{Cpu, Isa};
use binary_nets_data::{DataError, Dataset, ImageShape, InMemory, Loader, LoaderOptions, SamplerState, Sequential};
use binary_nets_exec::ExecError;
use binary_nets_graph::ops::{Arithmetic, Reduce, Reduction};
use binary_nets_graph::spec::NodeSpec;
use binary_nets_graph::{GraphError, Meaning, Op};
use binary_nets_network::{Confusion, Network, NetworkError, Prediction, TrainingOptions};
use tiny::{
    CLASSES, MEAN, PIXELS, SIDE, STD, WIDTH, cpu, dataset, loader, network, objective, states, train, trainable,
};

/// How many images are predicted.
const IMAGES: usize = 65;

fn pixels() -> Vec<u8> {
    tiny::pixels(&*dataset(IMAGES))
}

/// The bits of the logits of all images, predicted so many at a time.
fn logits(network: &mut Network<Cpu>, at_a_time: usize) -> Vec<u32> {
    let predict = |images: &[u8]| {
        let count = images.len() / PIXELS;
        let [Prediction { name, shape, data }] = &network.predict(images, count, &["logits"]).unwrap()[..] else {
            panic!("one output")
        };
        assert_eq!((name.as_str(), &shape[..]), ("logits", &[count, CLASSES][..]));
        data.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
    };
    pixels().chunks(at_a_time * PIXELS).flat_map(predict).collect()
}

#[test]
fn logits_are_bitwise_equal_on_every_instruction_set_thread_count_and_batch_size() {
    let mut trained = trainable(cpu(2));
    train(&mut trained, &mut loader(&dataset(96), SamplerState::default()), 20);
    let expected = logits(&mut trained, IMAGES);
    for isa in Isa::available() {
        for threads in [1, 2, 5] {
            let mut network = network(Cpu::new(Some(threads), isa).unwrap());
            for (path, values) in states(&trained) {
                network.set_state(&path, &values).unwrap();
            }
            for at_a_time in [1, 3, 64, IMAGES] {
                assert_eq!(
                    logits(&mut network, at_a_time),
                    expected,
                    "{isa:?}, {threads} threads, {at_a_time} at a time"
                );
            }
        }
    }
}

#[test]
fn evaluation_is_the_objective_of_the_predicted_logits() {
    let data = dataset(IMAGES);
    let mut network = trainable(cpu(2));
    train(&mut network, &mut loader(&data, SamplerState::default()), 10);
    let logits = logits(&mut network, IMAGES);
    let (mut loss, mut correct) = (0.0, 0.0);
    for (i, row) in logits.chunks_exact(CLASSES).enumerate() {
        let row: Vec<f64> = row.iter().map(|&bits| f32::from_bits(bits).into()).collect();
        let label = data.label(i) as usize;
        loss += row.iter().map(|x| x.exp()).sum::<f64>().ln() - row[label];
        let best = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        correct += f64::from(u8::from(row[label] == best));
    }
    for size in [1, 16, IMAGES] {
        let sampler = Arc::new(Sequential::new(IMAGES));
        let mut loader = Loader::new(data.clone(), sampler, LoaderOptions::new(size), SamplerState::default()).unwrap();
        let evaluation = network.evaluate(&mut loader, &objective()).unwrap();
        assert_eq!(evaluation.samples, IMAGES);
        assert_eq!(evaluation.sums["correct"], correct, "batches of {size}");
        // One rounding of the loss a batch, of terms below 10.
        assert!((evaluation.loss - loss / IMAGES as f64).abs() < 1e-5, "batches of {size}: {evaluation:?}");
    }
}

#[test]
fn the_frozen_network_follows_every_change_of_state() {
    let data = dataset(96);
    let mut network = trainable(cpu(2));
    let mut batches = loader(&data, SamplerState::default());
    // What a network that has never predicted before says of the same states.
    let expect = |network: &Network<Cpu>| {
        let mut fresh = tiny::network(cpu(1));
        for (path, values) in states(network) {
            fresh.set_state(&path, &values).unwrap();
        }
        logits(&mut fresh, IMAGES)
    };
    let mut seen = vec![logits(&mut network, IMAGES)];
    let mut check = |network: &mut Network<Cpu>, what: &str| {
        let got = logits(network, IMAGES);
        assert!(got == expect(network), "after {what}");
        assert!(!seen.contains(&got), "{what} changes something");
        seen.push(got);
    };
    train(&mut network, &mut batches, 1);
    check(&mut network, "a step");
    train(&mut network, &mut batches, 3);
    check(&mut network, "three steps");
    network.recalibrate(&mut batches, 2).unwrap();
    check(&mut network, "recalibration");
    for (path, change) in [("fc.bias", 1.0), ("conv2.weight", -0.3), ("conv1.weight", 0.1), ("bn1.running_var", 2.0)] {
        let values: Vec<f32> = network.state(path).unwrap().iter().map(|x| x + change).collect();
        network.set_state(path, &values).unwrap();
        check(&mut network, path);
    }
}

#[test]
fn layers_are_predicted_by_path() {
    let mut network = network(cpu(1));
    let predictions = network.predict(&pixels(), IMAGES, &["bn1", "logits"]).unwrap();
    let shape = |name: &str| predictions.iter().find(|p| p.name == name).unwrap().shape.clone();
    assert_eq!(shape("bn1"), [IMAGES, SIDE, SIDE, WIDTH]);
    assert_eq!(shape("logits"), [IMAGES, CLASSES]);
    let logits_alone = logits(&mut network, IMAGES);
    let together = predictions.iter().find(|p| p.name == "logits").unwrap();
    assert!(together.data.iter().map(|x| x.to_bits()).eq(logits_alone));

    let unknown = network.predict(&pixels(), IMAGES, &["bn9"]).unwrap_err();
    assert!(unknown.to_string().contains("bn9"), "{unknown}");
    network.predict(&[], 0, &[]).unwrap_err();
    network.predict(&pixels(), IMAGES - 1, &[]).unwrap_err();
    network.predict(&pixels()[..PIXELS], 2, &[]).unwrap_err();
}

#[test]
fn a_model_that_mixes_the_images_of_a_batch_is_refused() {
    let mut spec = tiny::model();
    let logits = spec.outputs["logits"];
    let mean = Reduce { reduction: Reduction::Mean, axes: vec![0], keep: false };
    for (op, inputs) in [(Op::from(mean), vec![logits]), (Arithmetic::SUB.into(), vec![logits, (spec.nodes.len(), 0)])]
    {
        spec.nodes.push(NodeSpec { op, inputs, path: "head".to_owned() });
    }
    spec.outputs.insert("logits".to_owned(), (spec.nodes.len() - 1, 0));
    let error = Network::new(cpu(1), spec, 0).map(|_| ()).unwrap_err();
    assert!(
        matches!(&error, NetworkError::Graph(GraphError::Shape { op: "reduce", path, .. }) if path == "head"),
        "{error}"
    );
}

/// The outputs of conv1, `[n, y, x, o]`, of normalised images.
fn conv1(weight: &[f32], images: &[u8]) -> Vec<f64> {
    let mut out = Vec::new();
    for image in images.chunks_exact(PIXELS) {
        for (y, x) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (y, x))) {
            for taps in weight.chunks_exact(9) {
                let mut sum = 0.0;
                for (tap, &w) in taps.iter().enumerate() {
                    let (row, column) = (y + tap / 3, x + tap % 3);
                    if (1..=SIDE).contains(&row) && (1..=SIDE).contains(&column) {
                        let pixel = f64::from(image[(row - 1) * SIDE + column - 1]);
                        sum += f64::from(w) * (pixel / 255.0 - MEAN) / STD;
                    }
                }
                out.push(sum);
            }
        }
    }
    out
}

#[test]
fn recalibration_yields_the_mean_of_the_batches_statistics() {
    const SIZE: usize = 16;
    const BATCHES: usize = 3;
    // The last batch of the epoch is smaller and passed over.
    let data = dataset(BATCHES * SIZE + 5);
    let sampler = || Arc::new(Sequential::new(data.len()));
    let open = || Loader::new(data.clone(), sampler(), LoaderOptions::new(SIZE), SamplerState::default()).unwrap();
    let mut network = network(cpu(2));
    let weight = network.state("conv1.weight").unwrap();
    assert_eq!(network.recalibrate(&mut open(), usize::MAX).unwrap(), BATCHES);

    let (mut mean, mut variance) = ([0.0; WIDTH], [0.0; WIDTH]);
    let mut batches = open();
    for _ in 0..BATCHES {
        let y = conv1(&weight, &batches.next_batch().unwrap().unwrap().images);
        let n = (y.len() / WIDTH) as f64;
        for channel in 0..WIDTH {
            let y = || y.iter().skip(channel).step_by(WIDTH);
            let m = y().sum::<f64>() / n;
            mean[channel] += m / BATCHES as f64;
            variance[channel] += y().map(|v| (v - m).powi(2)).sum::<f64>() / (n - 1.0) / BATCHES as f64;
        }
    }
    // Sums of 1024 f32 products each.
    let close = |got: Vec<f32>, expected: &[f64]| {
        got.iter()
            .zip(expected)
            .all(|(&got, expected)| (f64::from(got) - expected).abs() < 1e-5 * (1.0 + expected.abs()))
    };
    assert!(close(network.state("bn1.running_mean").unwrap(), &mean), "{mean:?}");
    assert!(close(network.state("bn1.running_var").unwrap(), &variance), "{variance:?}");
    assert_eq!(network.step(), 0);
}

/// Data that ask, each time they are read, whether they can be.
struct Asking<F>(Arc<InMemory>, F);

impl<F: Fn(usize) -> Result<(), DataError> + Send + Sync> Dataset for Asking<F> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn shape(&self) -> ImageShape {
        self.0.shape()
    }

    fn classes(&self) -> &[String] {
        self.0.classes()
    }

    fn label(&self, index: usize) -> u32 {
        self.0.label(index)
    }

    fn read(&self, index: usize, image: &mut [u8]) -> Result<(), DataError> {
        (self.1)(index).and_then(|()| self.0.read(index, image))
    }
}

#[test]
fn a_recalibration_that_fails_half_way_changes_nothing() {
    let data = Arc::new(Asking(dataset(64), |index| {
        if index < 40 { Ok(()) } else { Err(DataError::IndexOutOfRange { index, len: 40 }) }
    }));
    let sampler = Arc::new(Sequential::new(data.len()));
    let mut loader = Loader::new(data, sampler, LoaderOptions::new(16), SamplerState::default()).unwrap();
    let mut network = network(cpu(1));
    let before = states(&network);
    let error = network.recalibrate(&mut loader, 4).unwrap_err();
    assert!(matches!(error, NetworkError::Data(_)), "{error}");
    assert_eq!(states(&network), before);
}

/// The number of images of each class that are taken for each, counted from the logits.
fn counted(network: &mut Network<Cpu>, data: &InMemory) -> Vec<u64> {
    let mut counts = vec![0; CLASSES * CLASSES];
    let logits = network.predict(&tiny::pixels(data), data.len(), &["logits"]).unwrap().remove(0).data;
    for (i, row) in logits.chunks_exact(CLASSES).enumerate() {
        let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let first = row.iter().position(|&x| x == top).unwrap();
        counts[data.label(i) as usize * CLASSES + first] += 1;
    }
    counts
}

#[test]
fn a_confusion_matrix_counts_every_sample_once() {
    let data = dataset(IMAGES);
    let mut network = trainable(cpu(2));
    train(&mut network, &mut loader(&data, SamplerState::default()), 6);
    let expected = counted(&mut network, &data);
    let of_both_kinds = expected.iter().step_by(CLASSES + 1).sum::<u64>();
    assert!(of_both_kinds > 0 && of_both_kinds < IMAGES as u64, "some are right, some are wrong: {expected:?}");
    for batch in [1, 16, IMAGES] {
        let confusion = network.confusion(&mut tiny::in_order(data.clone(), batch)).unwrap();
        // There are fewer than five classes.
        let expected = Confusion { classes: CLASSES, counts: expected.clone(), among_first_five: IMAGES as u64 };
        assert_eq!(confusion, expected, "batches of {batch}");
    }

    // Of equal logits the first counts.
    network.set_state("fc.weight", &[0.0; CLASSES * WIDTH]).unwrap();
    network.set_state("fc.bias", &[-1.0, 2.0, 2.0, 0.0]).unwrap();
    let confusion = network.confusion(&mut tiny::in_order(data.clone(), 16)).unwrap();
    let count = |class| data.labels().iter().filter(|&&label| label == class).count() as u64;
    for class in 0..CLASSES {
        let mut row = [0; CLASSES];
        row[1] = count(class as u32);
        assert_eq!(confusion.counts[class * CLASSES..][..CLASSES], row);
    }
}

#[test]
fn a_logit_that_is_nan_is_no_class() {
    let mut network = network(cpu(1));
    network.set_state("fc.bias", &[0.0, 0.0, f32::NAN, 0.0]).unwrap();
    let data = dataset(8);
    let error = network.confusion(&mut tiny::in_order(data.clone(), 8)).unwrap_err();
    assert!(matches!(error, NetworkError::NotANumber { class } if class == data.label(0)), "{error}");
    // Of infinite ones one is the largest.
    network.set_state("fc.bias", &[0.0, f32::NEG_INFINITY, f32::INFINITY, 0.0]).unwrap();
    let confusion = network.confusion(&mut tiny::in_order(data, 8)).unwrap();
    assert_eq!(confusion.counts.iter().skip(2).step_by(CLASSES).sum::<u64>(), 8);
}

#[test]
fn a_confusion_matrix_needs_logits_of_the_classes_of_the_data() {
    let message = |spec, data: Arc<dyn Dataset>| {
        let mut network = Network::new(cpu(1), spec, 0).unwrap();
        match network.confusion(&mut tiny::in_order(data, 8)).unwrap_err() {
            NetworkError::Argument(message) => message,
            error => panic!("{error}"),
        }
    };
    let mut renamed = tiny::model();
    let logits = renamed.outputs.remove("logits").unwrap();
    renamed.outputs.insert("scores".to_owned(), logits);
    let expected = "a confusion matrix needs an output 'logits', which the network has not";
    assert_eq!(message(renamed.clone(), dataset(8)), expected);
    renamed.outputs.insert("logits".to_owned(), renamed.layers["bn1"]);
    assert!(message(renamed, dataset(8)).contains("[1, 8, 8, 8]"));
    assert_eq!(message(tiny::model(), of_ten_classes()), "the data has 10 classes, the network's logits have 4");
}

/// Data of more classes than the network has logits.
fn of_ten_classes() -> Arc<InMemory> {
    let shape = ImageShape { height: SIDE, width: SIDE, channels: 1 };
    let classes = (0..10).map(|class| class.to_string()).collect();
    Arc::new(InMemory::new(shape, vec![7; 16 * PIXELS], (0..16).map(|i| i % 10).collect(), classes).unwrap())
}

#[test]
fn data_of_other_classes_than_the_logits_are_refused_by_name() {
    let mut network = network(cpu(1));
    for (classes, count) in [(10, "10"), (3, "3")] {
        let objective = tiny::objective_of(classes);
        let expected = format!("the data has {count} classes, the network's logits have 4");
        let evaluated = network.evaluate(&mut tiny::in_order(of_ten_classes(), 8), &objective).unwrap_err();
        let compiled = network.compile_training(&objective, &[], 8, &TrainingOptions::default()).unwrap_err();
        for error in [evaluated, compiled] {
            assert!(matches!(&error, NetworkError::Argument(message) if *message == expected), "{error}");
        }
    }
    // Another fault of an objective keeps its own words.
    let mut t = tiny::Trace::default();
    let logits = t.input("logits", &[], Meaning::F32);
    let other = t.input("target", &[7], Meaning::F32);
    let loss = t.add(Arithmetic::SUB, &[logits, other], "loss");
    let error =
        network.compile_training(&t.finish(&[("loss", loss)], &[]), &[], 8, &TrainingOptions::default()).unwrap_err();
    assert!(matches!(&error, NetworkError::Graph(GraphError::Shape { path, .. }) if path == "loss"), "{error}");
}

/// Something that waits for batches.
type Call = fn(&mut Network<Cpu>, &mut Loader) -> Result<(), NetworkError>;

#[test]
fn cancelling_ends_the_wait_for_data() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    // They come once the gate is open; after some seconds all the same, so that a call that does not listen fails instead of waiting for ever.
    let data = Arc::new(Asking(dataset(IMAGES), move |_| {
        let start = Instant::now();
        while !gate.load(Ordering::Relaxed) && start.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }));
    let mut batches = tiny::in_order(data.clone(), 16);
    let mut network = trainable(cpu(1));
    let flag = network.cancel_flag();
    let calls: [Call; 4] = [
        |network, batches| network.evaluate(batches, &objective()).map(drop),
        |network, batches| network.confusion(batches).map(drop),
        |network, batches| network.recalibrate(batches, 2).map(drop),
        |network, batches| network.train_next(batches, &tiny::RATES).map(drop),
    ];
    for call in calls {
        flag.store(false, Ordering::Relaxed);
        let error = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(20));
                flag.store(true, Ordering::Relaxed);
            });
            call(&mut network, &mut batches).unwrap_err()
        });
        assert!(matches!(error, NetworkError::Exec(ExecError::Cancelled)), "{error}");
    }
    flag.store(false, Ordering::Relaxed);
    open.store(true, Ordering::Relaxed);
    let evaluation = network.evaluate(&mut batches, &objective()).unwrap();
    assert_eq!(evaluation.samples, IMAGES, "no batch is lost");
}
