//! A network that learns from another one: the same bits as from the other's predictions given as targets.

mod tiny;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use binary_nets_cpu::Cpu;
use binary_nets_data::{Augmentation, Dataset, InMemory, Loader, LoaderOptions, SamplerState, Shuffle};
use binary_nets_exec::ExecError;
use binary_nets_graph::Op;
use binary_nets_graph::ops::Slice;
use binary_nets_graph::spec::NodeSpec;
use binary_nets_network::{Network, NetworkError, TensorView, TrainingOptions};
use tiny::{
    BATCH, CLASSES, PIXELS, RATES, WIDTH, compile_for, cpu, dataset, everything, in_order, loader, model, network,
    objective, pixels, regression, states, train, trainable,
};

const SAMPLES: usize = 40;

/// Another network, trained a little.
fn teacher() -> Network<Cpu> {
    let mut teacher = Network::new(cpu(1), model(), 8).unwrap();
    tiny::compile(&mut teacher);
    train(&mut teacher, &mut loader(&dataset(96), SamplerState::default()), 8);
    teacher
}

/// What the teacher's frozen program says, a few images at a time.
fn lesson(images: &[u8]) -> Vec<f32> {
    let mut teacher = teacher();
    let predict = |images: &[u8]| teacher.predict(images, images.len() / PIXELS, &["logits"]).unwrap().remove(0).data;
    images.chunks(5 * PIXELS).flat_map(predict).collect()
}

fn student() -> Network<Cpu> {
    let mut student = network(cpu(2));
    student.set_teacher(Some(teacher())).unwrap();
    student
}

fn message(error: &NetworkError) -> String {
    match error {
        NetworkError::Argument(message) => message.clone(),
        error => panic!("{error}"),
    }
}

#[test]
fn a_step_learns_from_the_very_images_of_the_batch() {
    let data = dataset(SAMPLES);
    let augmented = || {
        let augment =
            vec![Augmentation::RandomCrop { padding: 2, fill: 0 }, Augmentation::HorizontalFlip { probability: 0.5 }];
        let options = LoaderOptions { drop_last: true, augment, seed: 3, ..LoaderOptions::new(BATCH) };
        Loader::new(data.clone(), Arc::new(Shuffle::new(SAMPLES, 5)), options, SamplerState::default()).unwrap()
    };
    let mut student = student();
    compile_for(&mut student, &regression("teacher.logits", &[]));
    let mut told = network(cpu(2));
    compile_for(&mut told, &regression("target", &[CLASSES]));

    let mut batches = augmented();
    let mut same = augmented();
    let mut plain = Vec::new();
    for _ in 0..2 {
        let report = student.train_next(&mut batches, &RATES).unwrap().unwrap();
        let batch = same.next_batch().unwrap().unwrap();
        let target = lesson(&batch.images);
        let tensors = [("image", TensorView::U8(&batch.images)), ("target", TensorView::F32(&target))];
        assert_eq!(report, told.train_step(&tensors, &RATES).unwrap());
        for &index in &batch.indices {
            plain.extend_from_slice(&pixels(&*data)[index as usize * PIXELS..][..PIXELS]);
        }
        assert_ne!(plain[plain.len() - BATCH * PIXELS..], batch.images[..], "images were varied");
    }
    assert!(everything(&student) == everything(&told));
    assert_eq!(states(student.teacher().unwrap()), states(&teacher()), "the teacher does not learn");
}

#[test]
fn an_evaluation_asks_the_teacher_too() {
    let data = dataset(SAMPLES);
    let targets = lesson(&pixels(&*data));
    let told = Arc::new(InMemory::clone(&data).with_targets(targets).unwrap());
    let mut student = student();
    let by_teacher = student.evaluate(&mut in_order(data, 16), &regression("teacher.logits", &[])).unwrap();
    let by_target = student.evaluate(&mut in_order(told, 16), &regression("target", &[CLASSES])).unwrap();
    assert_eq!(by_teacher, by_target);
    assert!(by_teacher.loss > 0.01, "they differ: {by_teacher:?}");
}

#[test]
fn a_teacher_of_other_shapes_can_follow() {
    let data = dataset(SAMPLES);
    let mut student = student();
    student.evaluate(&mut in_order(data.clone(), 16), &regression("teacher.logits", &[])).unwrap();
    // One number for each image, which stands beside all logits.
    let mut narrow = model();
    for node in &mut narrow.nodes {
        if let Op::State(state) = &mut node.op
            && state.path.starts_with("fc.")
        {
            state.shape = if state.path == "fc.bias" { [1].into() } else { [1, WIDTH].into() };
        }
    }
    let mut other = Network::new(cpu(1), narrow, 4).unwrap();
    let targets = other.predict(&pixels(&*data), SAMPLES, &[]).unwrap().remove(0).data;
    student.set_teacher(Some(other)).unwrap();
    let told = Arc::new(InMemory::clone(&data).with_targets(targets).unwrap());
    let by_teacher = student.evaluate(&mut in_order(data, 16), &regression("teacher.logits", &[])).unwrap();
    assert_eq!(by_teacher, student.evaluate(&mut in_order(told, 16), &regression("target", &[1])).unwrap());
}

#[test]
fn a_network_taught_by_its_own_snapshot_has_nothing_to_learn() {
    let data = dataset(SAMPLES);
    let mut network = trainable(cpu(2));
    train(&mut network, &mut loader(&data, SamplerState::default()), 4);
    let copy = Network::from_snapshot(network.backend().clone(), network.snapshot().unwrap()).unwrap();
    assert_eq!(states(&copy), states(&network));
    network.set_teacher(Some(copy)).unwrap();
    let objective = regression("teacher.logits", &[]);
    let loss =
        |network: &mut Network<Cpu>| network.evaluate(&mut in_order(dataset(SAMPLES), 16), &objective).unwrap().loss;
    assert_eq!(loss(&mut network), 0.0);
    train(&mut network, &mut loader(&data, SamplerState::default()), 1);
    assert!(loss(&mut network) > 0.0, "the teacher stays as it was");
}

#[test]
fn what_an_objective_asks_of_a_teacher_must_be_there() {
    let taught = regression("teacher.logits", &[]);
    let data = || in_order(dataset(SAMPLES), 16);
    let mut alone = network(cpu(1));
    let missing = "the objective takes 'teacher.logits', the network has no teacher";
    assert_eq!(
        message(&alone.compile_training(&taught, &[], BATCH, &TrainingOptions::default()).unwrap_err()),
        missing
    );
    assert_eq!(message(&alone.evaluate(&mut data(), &taught).unwrap_err()), missing);

    let mut student = student();
    let error = student
        .compile_training(&regression("teacher.features", &[]), &[], BATCH, &TrainingOptions::default())
        .unwrap_err();
    assert_eq!(message(&error), "the objective takes 'teacher.features', the teacher's outputs are logits");

    compile_for(&mut student, &taught);
    let evaluation = student.evaluate(&mut data(), &taught).unwrap();
    let before = everything(&student);
    student.set_teacher(None).unwrap();
    let mut batches = loader(&dataset(SAMPLES), SamplerState::default());
    assert_eq!(message(&student.train_next(&mut batches, &RATES).unwrap_err()), missing);
    assert_eq!(message(&student.evaluate(&mut data(), &taught).unwrap_err()), missing);
    assert!(everything(&student) == before);

    let mut small = model();
    for node in &mut small.nodes {
        if let Op::Input(input) = &mut node.op {
            input.shape = [4, 6, 1].into();
        }
    }
    student.set_teacher(Some(teacher())).unwrap();
    let error = student.set_teacher(Some(Network::new(cpu(1), small, 0).unwrap())).unwrap_err();
    assert_eq!(message(&error), "the teacher takes images [4,6,1], the network [8,8,1]");
    assert_eq!(student.evaluate(&mut data(), &taught).unwrap(), evaluation, "the teacher of before stays");
}

#[test]
fn cancelling_ends_the_lesson_too() {
    let mut student = student();
    compile_for(&mut student, &regression("teacher.logits", &[]));
    let flag = student.cancel_flag();
    assert!(Arc::ptr_eq(&flag, &student.teacher().unwrap().cancel_flag()));
    flag.store(true, Ordering::Relaxed);
    let before = everything(&student);
    let error = student.train_next(&mut loader(&dataset(SAMPLES), SamplerState::default()), &RATES).unwrap_err();
    assert!(matches!(error, NetworkError::Exec(ExecError::Cancelled)), "{error}");
    assert!(everything(&student) == before);
    flag.store(false, Ordering::Relaxed);
    student.train_next(&mut loader(&dataset(SAMPLES), SamplerState::default()), &RATES).unwrap().unwrap();

    let bytes = student.bytes();
    student.set_teacher(None).unwrap();
    assert!(student.bytes() < bytes, "a teacher's memory is counted");
    // An objective that asks nothing of the teacher is taught nothing.
    let data = dataset(SAMPLES);
    assert_eq!(data.targets(), 0);
    student.evaluate(&mut in_order(data, 16), &objective()).unwrap();
}

/// The tiny network with an output more, of one number or of several, and what a loss asks of it.
fn hinting(channels: usize) -> Network<Cpu> {
    let mut spec = model();
    let logits = spec.outputs["logits"];
    let slice = NodeSpec {
        op: Slice { axis: 1, start: 0, end: channels }.into(),
        inputs: vec![logits],
        path: "hint".to_owned(),
    };
    spec.nodes.push(slice);
    spec.outputs.insert("hint".to_owned(), (spec.nodes.len() - 1, 0));
    Network::new(cpu(1), spec, 8).unwrap()
}

/// A step is planned for the shapes of one teacher.
#[test]
fn a_teacher_of_other_shapes_takes_the_compiled_step_away() {
    let data = dataset(SAMPLES);
    let mut student = network(cpu(2));
    student.set_teacher(Some(hinting(1))).unwrap();
    let objective = regression("teacher.hint", &[]);
    let options = TrainingOptions { accumulate: 3, ..TrainingOptions::default() };
    let compile = |student: &mut Network<Cpu>| {
        student.compile_training(&objective, &tiny::updates(student), BATCH, &options).unwrap();
    };
    compile(&mut student);
    let mut batches = loader(&data, SamplerState::default());
    train(&mut student, &mut batches, 1);
    let sum = |student: &Network<Cpu>| student.state("fc.bias#gradient").unwrap();
    assert!(sum(&student).iter().any(|&x| x != 0.0));

    // A teacher of the same shapes, as each evaluation sets it anew, goes on.
    student.set_teacher(Some(hinting(1))).unwrap();
    train(&mut student, &mut batches, 2);
    assert_eq!(student.step(), 1);

    for other in [hinting(CLASSES), teacher()] {
        student.set_teacher(Some(hinting(1))).unwrap();
        compile(&mut student);
        train(&mut student, &mut batches, 1);
        assert!(sum(&student).iter().any(|&x| x != 0.0));
        student.set_teacher(Some(other)).unwrap();
        let error = student.train_next(&mut batches, &RATES).unwrap_err();
        assert_eq!(message(&error), "no training step has been compiled");
        assert!(sum(&student).iter().all(|&x| x == 0.0));
    }
    student.set_teacher(Some(hinting(CLASSES))).unwrap();
    compile(&mut student);
    train(&mut student, &mut batches, 3);
    assert_eq!(student.step(), 2);

    // A step that asks nothing of a teacher stays.
    compile_for(&mut student, &tiny::objective());
    student.set_teacher(Some(hinting(1))).unwrap();
    train(&mut student, &mut batches, 1);
}
