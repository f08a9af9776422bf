//! Training: it learns, repeats exactly, and a step that fails changes nothing.

mod tiny;

use std::num::NonZero;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use binary_nets_cpu::{Cpu, Isa};
use binary_nets_data::SamplerState;
use binary_nets_exec::ExecError;
use binary_nets_graph::ops::{Adam, Arithmetic, Bop, Fill, Reduce, Reduction, Scalar, Sgd, Step, Surrogate};
use binary_nets_graph::passes::{Update, UpdateRule};
use binary_nets_graph::spec::{GraphSpec, NodeSpec};
use binary_nets_graph::{GraphError, Meaning, Op};
use binary_nets_network::{Gradients, Network, NetworkError, Part, TensorView, TrainingOptions};
use tiny::{
    BATCH, PIXELS, RATES, compile, compile_with, cpu, dataset, everything, loader, network, objective, states, train,
    trainable,
};

#[test]
fn a_small_network_learns() {
    let data = dataset(160);
    let mut network = trainable(cpu(2));
    let losses = train(&mut network, &mut loader(&data, SamplerState::default()), 100);
    let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
    // Chance is ln 4 = 1.39; a bright quadrant is easy.
    assert!(mean(&losses[..5]) > 0.8 && mean(&losses[95..]) < 0.2, "{losses:?}");
    assert_eq!(network.step(), 100);

    let evaluation = network.evaluate(&mut loader(&data, SamplerState::default()), &objective()).unwrap();
    assert_eq!(evaluation.samples, 160);
    assert!(evaluation.sums["correct"] > 150.0 && evaluation.loss < 0.3, "{evaluation:?}");
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let data = dataset(96);
    let run = |threads| {
        let mut network = trainable(cpu(threads));
        train(&mut network, &mut loader(&data, SamplerState::default()), 5);
        everything(&network)
    };
    let one = run(1);
    assert_ne!(one, everything(&trainable(cpu(1))), "five steps change something");
    assert!(one == run(2), "2 threads");
    assert!(one == run(5), "5 threads");
}

#[test]
fn parameters_without_an_update_are_frozen() {
    let data = dataset(96);
    for trained in [&["fc.weight"][..], &[]] {
        let mut network = network(cpu(1));
        let updates: Vec<Update> =
            tiny::updates(&network).into_iter().filter(|update| trained.contains(&update.path.as_str())).collect();
        network.compile_training(&objective(), &updates, BATCH, &TrainingOptions::default()).unwrap();
        let before = states(&network);
        train(&mut network, &mut loader(&data, SamplerState::default()), 3);
        for (path, values) in states(&network) {
            let moves = trained.contains(&path.as_str()) || path.contains("running");
            assert_eq!(before[&path] != values, moves, "{path}");
        }
    }
}

/// At a progress of 1 it is the surrogate that it was made from; at 0 nothing arrives behind it.
#[test]
fn a_custom_surrogate_reads_a_scalar_with_each_step() {
    let data = dataset(96);
    let step = |model: GraphSpec, scalars: &[(&str, f32)]| {
        let mut network = Network::new(cpu(2), model, 7).unwrap();
        let sgd = UpdateRule::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0, clamp: None });
        let paths: Vec<String> = network.states().map(|state| state.path.clone()).collect();
        let trained = paths.into_iter().filter(|path| path.contains("weight"));
        let updates: Vec<Update> =
            trained.map(|path| Update { path, rule: sgd.clone(), lr: "rest".to_owned() }).collect();
        network.compile_training(&objective(), &updates, BATCH, &TrainingOptions::default()).unwrap();
        let result = network.train_next(&mut loader(&data, SamplerState::default()), scalars);
        result.map(|_| states(&network))
    };
    let rest = ("rest", 0.05);
    let plain = step(tiny::model(), &[rest]).unwrap();
    let custom = |progress| step(tiny::model_with_custom_surrogate(), &[rest, ("progress", progress)]).unwrap();
    assert!(custom(1.0) == plain);
    assert!(custom(0.5)["conv1.weight"] != plain["conv1.weight"]);
    assert!(custom(0.0)["conv2.weight"] == plain["conv2.weight"], "the binary weights have a gradient of their own");
    let error = step(tiny::model_with_custom_surrogate(), &[rest]).unwrap_err();
    assert!(matches!(&error, NetworkError::Batch { name, .. } if name == "progress"), "{error}");
}

/// The gradients of a model may read scalars; the model and its objective have no one to give them in an evaluation.
#[test]
fn a_model_or_a_loss_that_reads_a_scalar_is_refused_by_name_and_path() {
    let mut model = tiny::model();
    let logits = model.outputs["logits"];
    let scalar = |spec: &mut GraphSpec| {
        let op = Scalar { name: "temperature".to_owned() }.into();
        spec.nodes.push(NodeSpec { op, inputs: Vec::new(), path: String::new() });
        (spec.nodes.len() - 1, 0)
    };
    let temperature = scalar(&mut model);
    assert!(Network::new(cpu(1), model.clone(), 7).is_ok(), "nobody reads it");
    let product = NodeSpec { op: Arithmetic::MUL.into(), inputs: vec![logits, temperature], path: "head".to_owned() };
    model.nodes.push(product);
    model.outputs.insert("logits".to_owned(), (model.nodes.len() - 1, 0));
    let error = Network::new(cpu(1), model, 7).err().unwrap();
    let message = "reads the scalar 'temperature' at 'head'; only gradients of one's own may";
    assert_eq!(error.to_string(), format!("the model {message}"));

    let mut objective = objective();
    let temperature = scalar(&mut objective);
    let loss = objective.outputs["loss"];
    objective.nodes.push(NodeSpec {
        op: Arithmetic::MUL.into(),
        inputs: vec![loss, temperature],
        path: "head".to_owned(),
    });
    objective.outputs.insert("loss".to_owned(), (objective.nodes.len() - 1, 0));
    let mut network = network(cpu(1));
    let compiled = network.compile_training(&objective, &tiny::updates(&network), BATCH, &TrainingOptions::default());
    let evaluated = network.evaluate(&mut tiny::in_order(dataset(BATCH), BATCH), &objective);
    for error in [compiled.unwrap_err(), evaluated.unwrap_err()] {
        assert_eq!(error.to_string(), format!("the loss {message}"));
    }
}

/// The gradient is refused when the network is made, not once it is trained.
#[test]
fn an_impossible_gradient_of_ones_own_is_refused_with_the_network() {
    let mut model = tiny::model_with_custom_surrogate();
    for node in &mut model.nodes {
        if let Op::Step(Step { gradient: Surrogate::Custom(spec), .. }) = &mut node.op {
            let dx = spec.outputs.remove("dx").unwrap();
            spec.outputs.insert("dy".to_owned(), dx);
        }
    }
    let error = Network::new(cpu(1), model, 7).err().unwrap();
    assert!(
        matches!(&error, NetworkError::Graph(GraphError::Shape { path, got, .. }) if path == "conv2" && got == "the outputs: 'dy'"),
        "{error}"
    );
}

/// Nothing of an earlier run lingers: neither what only it read, nor what another optimizer might take for its own.
#[test]
fn moments_that_a_step_does_not_have_are_dropped() {
    let data = dataset(96);
    let bop = UpdateRule::Bop(Bop { threshold: 1e-6 });
    let compile_bop = |network: &mut Network<Cpu>| {
        let updates: Vec<Update> =
            tiny::updates(network).into_iter().filter(|update| update.path == "conv2.weight").collect();
        let updates: Vec<Update> = updates.into_iter().map(|update| Update { rule: bop.clone(), ..update }).collect();
        network.compile_training(&objective(), &updates, BATCH, &TrainingOptions::default()).unwrap();
    };
    let mut network = trainable(cpu(2));
    train(&mut network, &mut loader(&data, SamplerState::default()), 4);
    let (images, before) = (tiny::samples(5).0, states(&network));
    let (predicted, bytes) = (network.predict(&images, 5, &[]).unwrap(), network.bytes());
    compile_bop(&mut network);
    assert!(states(&network) == before && network.predict(&images, 5, &[]).unwrap() == predicted);
    for gone in ["conv2.weight#m", "conv2.weight#v", "conv2.weight#t", "fc.weight#velocity"] {
        assert!(network.state(gone).is_err(), "{gone}");
    }
    assert!(network.bytes() < bytes, "{} bytes, {bytes} before", network.bytes());
    assert!(network.state("conv2.weight#momentum").unwrap().iter().all(|&m| m == 0.0));

    let mut alone = tiny::network(cpu(2));
    for (path, values) in &before {
        alone.set_state(path, values).unwrap();
    }
    compile_bop(&mut alone);
    for network in [&mut network, &mut alone] {
        train(network, &mut loader(&data, SamplerState::default()), 4);
    }
    assert!(states(&network) == states(&alone) && states(&network) != before);
}

#[test]
fn optimizers_start_afresh_once_their_moments_are_reset() {
    let data = dataset(96);
    let adam = UpdateRule::Adam(Adam {
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.0,
        clamp: None,
        decoupled: false,
        amsgrad: false,
    });
    let sgd = UpdateRule::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0, clamp: None });
    let run = |network: &mut Network<Cpu>, rule: &UpdateRule| {
        let updates: Vec<Update> =
            tiny::updates(network).into_iter().map(|update| Update { rule: rule.clone(), ..update }).collect();
        network.compile_training(&objective(), &updates, BATCH, &TrainingOptions::default()).unwrap();
        train(network, &mut loader(&data, SamplerState::default()), 4);
    };
    for (first, then) in [(&adam, &sgd), (&sgd, &sgd), (&sgd, &adam), (&adam, &adam)] {
        let mut network = network(cpu(2));
        run(&mut network, first);
        let mut alone = tiny::network(cpu(2));
        for (path, values) in states(&network) {
            alone.set_state(&path, &values).unwrap();
        }
        network.reset_moments().unwrap();
        run(&mut network, then);
        run(&mut alone, then);
        assert!(states(&network) == states(&alone), "{first:?}, then {then:?}");
    }
}

#[test]
fn a_cancelled_step_changes_nothing() {
    let data = dataset(96);
    let mut network = trainable(cpu(2));
    let mut twin = trainable(cpu(2));
    let flag = network.cancel_flag();
    let images: Vec<u8> = (0..BATCH * PIXELS).map(|i| (i * 37 % 251) as u8).collect();
    let labels: Vec<u32> = (0..BATCH as u32).map(|i| i % 4).collect();
    let batch = [("image", TensorView::U8(&images)), ("label", TensorView::U32(&labels))];

    flag.store(true, Ordering::Relaxed);
    let before = everything(&network);
    let error = network.train_step(&batch, &RATES).unwrap_err();
    assert!(matches!(error, NetworkError::Exec(ExecError::Cancelled)), "{error}");
    assert!(before == everything(&network));

    // Whenever the request comes, a step is made as a whole or not at all.
    let mut cancelled = 0;
    for microseconds in (0..2_000).step_by(20) {
        flag.store(false, Ordering::Relaxed);
        let before = everything(&network);
        let result = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_micros(microseconds));
                flag.store(true, Ordering::Relaxed);
            });
            network.train_step(&batch, &RATES)
        });
        match result {
            Ok(_) => {
                twin.train_step(&batch, &RATES).unwrap();
            }
            Err(NetworkError::Exec(ExecError::Cancelled)) => {
                cancelled += 1;
                assert!(before == everything(&network));
            }
            Err(error) => panic!("{error}"),
        }
        assert!(everything(&network) == everything(&twin));
    }
    assert!(cancelled > 0);

    flag.store(true, Ordering::Relaxed);
    let before = everything(&network);
    network.recalibrate(&mut loader(&data, SamplerState::default()), 3).unwrap_err();
    assert!(before == everything(&network));
}

#[test]
fn a_loss_that_is_not_finite_names_its_source_and_changes_nothing() {
    let data = dataset(32);
    for (path, value, source) in
        [("conv1.weight", f32::NAN, "conv1"), ("bn2.weight", f32::INFINITY, "bn2"), ("fc.weight", f32::NAN, "fc")]
    {
        let mut network = trainable(cpu(2));
        train(&mut network, &mut loader(&data, SamplerState::default()), 1);
        let mut weight = network.state(path).unwrap();
        weight[3] = value;
        network.set_state(path, &weight).unwrap();
        let before = everything(&network);
        let error = network.train_next(&mut loader(&data, SamplerState::default()), &RATES).unwrap_err();
        let NetworkError::NotFinite { loss, step: 1, path: got, .. } = &error else { panic!("{error}") };
        assert!(!loss.is_finite());
        assert_eq!(got, source, "{error}");
        assert!(before == everything(&network), "{path}");
    }
}

/// Weights so small that bn2 divides by √eps alone: what it yields stays below 1e35, but its gradient is γ/√eps ≈ 3e38 times that of the layer behind.
fn overflow_behind_bn2(network: &mut Network<Cpu>) {
    let mut edit = |path: &str, number: fn(f32) -> f32| {
        let values: Vec<f32> = network.state(path).unwrap().into_iter().map(number).collect();
        network.set_state(path, &values).unwrap();
    };
    edit("conv2.weight", |x| 1e-10_f32.copysign(x));
    edit("bn2.weight", |_| 1e36);
    edit("fc.weight", |x| 1e5 * x);
}

#[test]
fn a_gradient_that_is_not_finite_names_its_source_and_changes_nothing() {
    let data = dataset(32);
    let mut network = trainable(cpu(2));
    train(&mut network, &mut loader(&data, SamplerState::default()), 1);
    overflow_behind_bn2(&mut network);
    let before = everything(&network);
    let error = network.train_next(&mut loader(&data, SamplerState::default()), &RATES).unwrap_err();
    let NetworkError::NotFinite { loss, step: 1, op, path } = &error else { panic!("{error}") };
    assert!(loss.is_finite());
    assert_eq!((op.as_str(), path.as_str()), ("batch_norm_grad", "bn2"), "{error}");
    assert!(error.to_string().starts_with("a gradient is not finite at step 1"), "{error}");
    assert!(before == everything(&network));
}

/// No gradients are looked at but those behind the rounding, so what is not finite has come through it.
#[test]
fn a_gradient_that_is_not_finite_stays_so_in_whole_numbers() {
    let options = TrainingOptions { gradients: Gradients::Fixed, ..TrainingOptions::default() };
    for (isa, trained) in Isa::available().into_iter().flat_map(|isa| [(isa, "conv1.weight"), (isa, "conv2.weight")]) {
        let mut network = network(Cpu::new(Some(2), isa).unwrap());
        let updates: Vec<Update> =
            tiny::updates(&network).into_iter().filter(|update| update.path == trained).collect();
        network.compile_training(&objective(), &updates, BATCH, &options).unwrap();
        overflow_behind_bn2(&mut network);
        let before = everything(&network);
        let error = network.train_next(&mut loader(&dataset(BATCH), SamplerState::default()), &RATES).unwrap_err();
        let NetworkError::NotFinite { loss, step: 0, op, path } = &error else { panic!("{error}") };
        assert!(loss.is_finite());
        let name = isa.name();
        assert_eq!((op.as_str(), path.as_str()), ("batch_norm_grad", "bn2"), "{trained} on {name}: {error}");
        assert!(before == everything(&network), "{trained} on {name}");
    }
}

/// Their scale is none that anything can be divided by.
#[test]
fn gradients_of_zeros_are_zeros_in_whole_numbers() {
    let options = TrainingOptions { gradients: Gradients::Fixed, ..TrainingOptions::default() };
    for isa in Isa::available() {
        let step = |fc: f32| {
            let mut network = network(Cpu::new(Some(2), isa).unwrap());
            compile_with(&mut network, &options);
            // So nothing behind fc makes a difference.
            let weight: Vec<f32> = network.state("fc.weight").unwrap().into_iter().map(|x| fc * x).collect();
            network.set_state("fc.weight", &weight).unwrap();
            let before = network.state("conv2.weight").unwrap();
            train(&mut network, &mut loader(&dataset(BATCH), SamplerState::default()), 1);
            before == network.state("conv2.weight").unwrap()
        };
        assert!(step(0.0) && !step(1.0), "{}", isa.name());
    }
}

/// Four gradients of 2e38 each: their norm is none that f32 has, and scaling by it would make an update of nothing.
#[test]
fn a_norm_that_overflows_is_not_finite_and_changes_nothing() {
    let mut t = tiny::Trace::default();
    let logits = t.input("logits", &[], Meaning::F32);
    let huge = t.add(Fill { value: 2e38 / BATCH as f32, shape: [].into() }, &[], "loss");
    let product = t.add(Arithmetic::MUL, &[logits, huge], "loss");
    let loss = t.add(Reduce { reduction: Reduction::Sum, axes: vec![0, 1], keep: false }, &[product], "loss");
    let objective = t.finish(&[("loss", loss)], &[]);
    let sgd = UpdateRule::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0, clamp: None });
    let updates = [Update { path: "fc.bias".to_owned(), rule: sgd, lr: "rest".to_owned() }];
    let step = |clip_norm| {
        let mut network = network(cpu(2));
        // So the logits, and the loss, are 0.
        network.set_state("fc.weight", &[0.0; tiny::CLASSES * tiny::WIDTH]).unwrap();
        let options = TrainingOptions { clip_norm, ..TrainingOptions::default() };
        network.compile_training(&objective, &updates, BATCH, &options).unwrap();
        let before = everything(&network);
        let result = network.train_next(&mut loader(&dataset(BATCH), SamplerState::default()), &[("rest", 1e-38)]);
        (result, before == everything(&network), network.state("fc.bias").unwrap())
    };
    let (result, _, bias) = step(None);
    assert!(result.is_ok() && bias.iter().all(|b| (b + 2.0).abs() < 1e-5), "the gradients are finite: {bias:?}");
    let (result, unchanged, _) = step(Some(1.0));
    let error = result.unwrap_err();
    assert!(matches!(&error, NetworkError::NotFinite { loss: 0.0, op, .. } if op == "global_norm"), "{error}");
    assert!(unchanged);
}

#[test]
fn what_cannot_be_trained_is_refused_by_name() {
    let mut network = network(cpu(1));
    let images = vec![0; BATCH * PIXELS];
    let labels = vec![0; BATCH];
    let batch = [("image", TensorView::U8(&images)), ("label", TensorView::U32(&labels))];
    let argument = |error| matches!(error, NetworkError::Argument(_));
    assert!(argument(network.train_step(&batch, &RATES).unwrap_err()), "nothing was compiled");
    assert!(
        argument(network.compile_training(&objective(), &[], 0, &TrainingOptions::default()).unwrap_err()),
        "no samples"
    );
    let mut updates = tiny::updates(&network);
    "bn1.running_mean".clone_into(&mut updates[0].path);
    let error = network.compile_training(&objective(), &updates, BATCH, &TrainingOptions::default()).unwrap_err();
    assert!(error.to_string().contains("bn1.running_mean"), "{error}");
    let twice = [&tiny::updates(&network)[..], &tiny::updates(&network)[2..3]].concat();
    let error = network.compile_training(&objective(), &twice, BATCH, &TrainingOptions::default()).unwrap_err();
    assert!(error.to_string().contains(&twice[2].path) && argument(error), "two updates");

    compile(&mut network);
    let culprit = |error| match error {
        NetworkError::Batch { name, .. } => name,
        error => panic!("{error}"),
    };
    let size = |error| match error {
        NetworkError::Elements { name, got, .. } => (name, got),
        error => panic!("{error}"),
    };
    assert_eq!(culprit(network.train_step(&batch[..1], &RATES).unwrap_err()), "label", "missing");
    assert_eq!(culprit(network.train_step(&batch, &RATES[..1]).unwrap_err()), "rest", "missing");
    let short = [("image", TensorView::U8(&images[1..])), batch[1]];
    assert_eq!(size(network.train_step(&short, &RATES).unwrap_err()), ("image".to_owned(), BATCH * PIXELS - 1));
    assert_eq!(size(network.set_state("fc.bias", &[1.0]).unwrap_err()), ("fc.bias".to_owned(), 1));
    let floats = vec![0.0; BATCH * PIXELS];
    let kind = [("image", TensorView::F32(&floats)), batch[1]];
    assert_eq!(culprit(network.train_step(&kind, &RATES).unwrap_err()), "image", "floats");
    let mut wrong = labels.clone();
    wrong[2] = 4;
    let range = [batch[0], ("label", TensorView::U32(&wrong))];
    assert_eq!(culprit(network.train_step(&range, &RATES).unwrap_err()), "label", "no such class");
    assert_eq!(network.step(), 0);
}

#[test]
fn a_profile_times_the_ops_of_a_step_and_changes_nothing() {
    let data = dataset(96);
    let mut network = trainable(cpu(2));
    train(&mut network, &mut loader(&data, SamplerState::default()), 2);
    let before = everything(&network);
    let batch = loader(&data, SamplerState::default()).next_batch().unwrap().unwrap();
    let tensors = [("image", TensorView::U8(&batch.images)), ("label", TensorView::U32(&batch.labels))];
    let times = network.profile_step(NonZero::new(3).unwrap()).unwrap();
    assert!(everything(&network) == before);
    for op in ["binary_conv2d", "binary_conv2d_grad_input", "binary_conv2d_grad_weight"] {
        // What is computed again stands in the other part as well.
        let part = if op == "binary_conv2d" { Part::Forward } else { Part::Backward };
        let found: Vec<_> = times.iter().filter(|row| row.time.op == op && row.part == part).collect();
        assert!(found.len() == 1 && found[0].time.path == "conv2", "{op}: {found:?}");
        assert!(network.kernels().contains(&format!("{op}: {}", found[0].time.kernel)));
    }
    assert!(times.is_sorted_by_key(|row| row.part as u8));
    assert!(times.iter().any(|row| row.time.op == "batch_norm_fused"), "{times:?}");
    let is_update = |op| ["update_statistics", "increment", "adam", "sgd"].contains(&op);
    assert!(times.iter().all(|row| (row.part == Part::Update) == is_update(row.time.op)), "{times:?}");

    // The step that comes next is the one that would have come.
    let mut twin = trainable(cpu(2));
    train(&mut twin, &mut loader(&data, SamplerState::default()), 2);
    assert_eq!(network.train_step(&tensors, &RATES).unwrap(), twin.train_step(&tensors, &RATES).unwrap());
    assert!(everything(&network) == everything(&twin));
}
