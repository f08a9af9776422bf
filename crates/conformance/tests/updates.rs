//! Optimizers and running statistics over several steps, against transcriptions of their textbook forms.

use std::collections::BTreeMap;

use binary_nets_conformance::reference::{Randomness, evaluate};
use binary_nets_conformance::{Random, Tensor};
use binary_nets_graph::ops::{
    Adam, Arithmetic, BatchNorm, Bop, Input, Reduce, Reduction, Sgd, State, StateKind, StatisticsMomentum,
};
use binary_nets_graph::passes::{
    Update, UpdateRule, accumulate_gradients, accumulated_gradients, attach_averages, attach_statistics,
    attach_updates, calibration, differentiate,
};
use binary_nets_graph::{Graph, Init, Meaning, Shape, Value};

const STEPS: u64 = 6;
const LR: f64 = 0.1;

fn state(graph: &mut Graph, path: &str, shape: impl Into<Shape>) -> Value {
    let state = State {
        path: path.to_owned(),
        shape: shape.into(),
        kind: StateKind::Parameter,
        init: Init::Constant(0.0),
        meaning: Meaning::F32,
    };
    graph.add_one(state, &[], "").unwrap()
}

/// Runs the update of one parameter for some steps, with the gradient g of each step given, the loss being `Σ w·g`, and lets `attach` add to the graph.
/// All states after the last step.
fn trained(rule: UpdateRule, w: f64, gradients: &[f64], attach: impl FnOnce(&mut Graph)) -> BTreeMap<String, Tensor> {
    let mut graph = Graph::new(1);
    let parameter = state(&mut graph, "w", []);
    let g = state(&mut graph, "g", []);
    let loss = graph.add_one(Arithmetic::MUL, &[parameter, g], "").unwrap();
    graph.set_output("loss", loss);
    let mut differentiated = differentiate(&graph, "loss", &["w"]).unwrap();
    let update = Update { path: "w".to_owned(), rule, lr: "rate".to_owned() };
    attach_updates(&mut differentiated.graph, &differentiated.gradients, None, &[update]).unwrap();
    attach(&mut differentiated.graph);

    let number = |name: &str, x: f64| (name.to_owned(), Tensor::number(x));
    let mut given = BTreeMap::from([number("w", w), number("rate", LR), number("w#average", w)]);
    given.extend(["w#velocity", "w#m", "w#v", "w#vmax", "w#t", "w#momentum"].map(|moment| number(moment, 0.0)));
    for (step, &g) in gradients.iter().enumerate() {
        given.extend([number("g", g)]);
        let evaluation = evaluate(&differentiated.graph, &given, Randomness { seed: 0, step: step as u64 }).unwrap();
        given.extend(evaluation.states);
    }
    given
}

fn updated(rule: UpdateRule, w: f64, gradients: &[f64]) -> f64 {
    trained(rule, w, gradients, |_| ())["w"].data[0]
}

fn gradients() -> Vec<f64> {
    let mut random = Random::new(11);
    (0..STEPS).map(|_| 3.0 * random.number()).collect()
}

/// Sums differ in order only.
fn assert_near(what: &str, got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-12, "{what}: {got}, expected {expected}");
}

#[test]
fn sgd_is_the_textbook_one() {
    for momentum in [0.0_f32, 0.5] {
        for nesterov in [false, true] {
            for weight_decay in [0.0_f32, 0.25] {
                for clamp in [None, Some(0.5_f32)] {
                    let rule =
                        UpdateRule::Sgd(Sgd { momentum, nesterov: nesterov && momentum > 0.0, weight_decay, clamp });
                    let what = format!("{rule:?}");
                    let got = updated(rule, 0.75, &gradients());

                    let (mut w, mut buffer) = (0.75, None);
                    for mut g in gradients() {
                        g += f64::from(weight_decay) * w;
                        if momentum > 0.0 {
                            let mu = f64::from(momentum);
                            let b = buffer.map_or(g, |b: f64| b * mu + g);
                            buffer = Some(b);
                            g = if nesterov { g + mu * b } else { b };
                        }
                        w -= LR * g;
                        if let Some(limit) = clamp {
                            w = w.clamp(-f64::from(limit), f64::from(limit));
                        }
                    }
                    assert_near(&what, got, w);
                }
            }
        }
    }
}

#[test]
fn adam_and_its_kin_are_the_textbook_ones() {
    let (beta1, beta2, eps) = (0.9, 0.75, 1e-3);
    // The second moment grows, then shrinks.
    let gradients: Vec<f64> = gradients().iter().zip([1.0, 4.0, 2.0, 0.5, 0.25, 0.125]).map(|(g, x)| g * x).collect();
    for (decoupled, amsgrad) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut shrank = false;
        for weight_decay in [0.0_f32, 0.25] {
            for clamp in [None, Some(0.5_f32)] {
                let rule = UpdateRule::Adam(Adam { beta1, beta2, eps, weight_decay, clamp, decoupled, amsgrad });
                let what = format!("{rule:?}");
                let got = updated(rule, 0.75, &gradients);

                let (mut w, mut m, mut v, mut largest) = (0.75, 0.0, 0.0, 0.0_f64);
                let decay = f64::from(weight_decay);
                for (t, mut g) in (1..).zip(gradients.iter().copied()) {
                    if decoupled {
                        w *= 1.0 - LR * decay;
                    } else {
                        g += decay * w;
                    }
                    m = beta1 * m + (1.0 - beta1) * g;
                    v = beta2 * v + (1.0 - beta2) * g * g;
                    largest = largest.max(v);
                    shrank |= v < largest;
                    let corrected_m = m / (1.0 - f64::powi(beta1, t));
                    let corrected_v: f64 = (if amsgrad { largest } else { v }) / (1.0 - f64::powi(beta2, t));
                    w -= LR * corrected_m / (corrected_v.sqrt() + eps);
                    if let Some(limit) = clamp {
                        w = w.clamp(-f64::from(limit), f64::from(limit));
                    }
                }
                assert_near(&what, got, w);
            }
        }
        assert!(shrank, "AMSGrad would be the same without a second moment that shrinks");
    }
}

/// A parameter that joins late is corrected by the count of its own updates.
#[test]
fn adam_counts_the_updates_of_each_parameter() {
    let (beta1, beta2, eps) = (0.9, 0.75, 1e-3);
    let rule =
        UpdateRule::Adam(Adam { beta1, beta2, eps, weight_decay: 0.0, clamp: None, decoupled: false, amsgrad: false });
    let graph = |trained: &[&str]| {
        let mut graph = Graph::new(1);
        let gradients = ["early", "late"].map(|path| {
            state(&mut graph, path, []);
            (path.to_owned(), state(&mut graph, &format!("gradient of {path}"), []))
        });
        let updates: Vec<Update> = trained
            .iter()
            .map(|&path| Update { path: path.to_owned(), rule: rule.clone(), lr: "rate".to_owned() })
            .collect();
        attach_updates(&mut graph, &gradients, None, &updates).unwrap();
        graph
    };
    let number = |name: String, x: f64| (name, Tensor::number(x));
    let mut given = BTreeMap::from([number("rate".to_owned(), LR)]);
    for path in ["early", "late"] {
        given.extend([number(path.to_owned(), 0.75)]);
        given.extend(["m", "v", "t"].map(|moment| number(format!("{path}#{moment}"), 0.0)));
    }
    for (step, &g) in gradients().iter().enumerate() {
        given.extend([number("gradient of early".to_owned(), g), number("gradient of late".to_owned(), 2.0 - g)]);
        let trained = if step < 3 { &["early"][..] } else { &["early", "late"] };
        given.extend(evaluate(&graph(trained), &given, Randomness::default()).unwrap().states);
    }
    let textbook = |gradients: &[f64]| {
        let (mut w, mut m, mut v) = (0.75, 0.0, 0.0);
        for (t, g) in (1..).zip(gradients) {
            m = beta1 * m + (1.0 - beta1) * g;
            v = beta2 * v + (1.0 - beta2) * g * g;
            w -= LR * m / (1.0 - f64::powi(beta1, t)) / ((v / (1.0 - f64::powi(beta2, t))).sqrt() + eps);
        }
        w
    };
    let late: Vec<f64> = gradients()[3..].iter().map(|g| 2.0 - g).collect();
    assert_near("early", given["early"].data[0], textbook(&gradients()));
    assert_near("late", given["late"].data[0], textbook(&late));
    assert_eq!((given["early#t"].data[0], given["late#t"].data[0]), (6.0, 3.0));
}

#[test]
fn bop_flips_where_the_moment_insists() {
    // One way, then the other.
    let gradients: Vec<f64> = gradients().into_iter().chain(gradients().iter().map(|g| -2.0 * g)).collect();
    let threshold = 0.0625_f32;
    for w in [0.75, -0.001, 0.0, -1.0] {
        let states = trained(UpdateRule::Bop(Bop { threshold }), w, &gradients, |_| ());
        let (mut sign, mut m, mut flips) = (if w < 0.0 { -1.0 } else { 1.0 }, 0.0, 0);
        for g in &gradients {
            m += LR * (g - m);
            if m * sign > f64::from(threshold) {
                sign = -sign;
                flips += 1;
            }
        }
        assert!(flips > 0, "{w} never flipped");
        assert_eq!(states["w"].data, [sign], "from {w}");
        assert_near("m", states["w#momentum"].data[0], m);
    }
}

/// `decayⁿ·w₀ + Σ (1 − decay)·decay^(n−k)·w_k`
#[test]
fn averages_weigh_what_came_after_each_update() {
    let (gradients, decay) = (gradients(), 0.75);
    let rule = UpdateRule::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0, clamp: None });
    let states = trained(rule, 0.5, &gradients, |graph| attach_averages(graph, decay).unwrap());
    let mut w = 0.5;
    let mut expected = f64::powi(decay, 6) * w;
    for (k, g) in (1..).zip(&gradients) {
        w -= LR * g;
        expected += (1.0 - decay) * f64::powi(decay, 6 - k) * w;
    }
    assert_near("w", states["w"].data[0], w);
    assert_near("average", states["w#average"].data[0], expected);
}

/// Three batches for each update of plain SGD: it takes their mean.
#[test]
fn accumulated_gradients_are_means() {
    let graph = |last: bool| {
        let mut graph = Graph::new(1);
        let (w, g) = (state(&mut graph, "w", []), state(&mut graph, "g", []));
        let gradients = [("w".to_owned(), g)];
        graph.set_output("w", w);
        if last {
            let means = accumulated_gradients(&mut graph, &gradients, 3).unwrap();
            let rule = UpdateRule::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0, clamp: None });
            attach_updates(&mut graph, &means, None, &[Update { path: "w".to_owned(), rule, lr: "rate".to_owned() }])
                .unwrap();
        } else {
            accumulate_gradients(&mut graph, &gradients).unwrap();
        }
        graph
    };
    let number = |name: &str, x: f64| (name.to_owned(), Tensor::number(x));
    let mut given =
        BTreeMap::from([number("w", 0.75), number("rate", LR), number("w#gradient", 0.0), number("#accumulated", 0.0)]);
    let mut expected = 0.75;
    for (i, batches) in gradients().chunks(3).enumerate() {
        for (k, &g) in batches.iter().enumerate() {
            assert_near("count", given["#accumulated"].data[0], k as f64);
            assert_near("w between updates", given["w"].data[0], expected);
            given.extend([number("g", g)]);
            let evaluation = evaluate(&graph(k == 2), &given, Randomness::default()).unwrap();
            given.extend(evaluation.states);
        }
        expected -= LR * batches.iter().sum::<f64>() / 3.0;
        assert_near(&format!("w after update {i}"), given["w"].data[0], expected);
        assert_eq!((given["w#gradient"].data[0], given["#accumulated"].data[0]), (0.0, 0.0));
    }
}

/// One norm over two inputs, `a` and `b`.
fn norm_called_twice() -> Graph {
    let mut graph = Graph::new(4);
    let inputs = ["a", "b"].map(|name| {
        graph.add_one(Input { name: name.to_owned(), shape: [1].into(), meaning: Meaning::F32 }, &[], "").unwrap()
    });
    let norm = ["gamma", "beta", "mean", "var"].map(|path| state(&mut graph, path, [1]));
    for x in inputs {
        let y = graph.add(BatchNorm { eps: 1e-5, momentum: 0.25 }, &[&[x], &norm[..]].concat(), "").unwrap()[0];
        let sum = graph.add_one(Reduce { reduction: Reduction::Sum, axes: vec![0, 1], keep: false }, &[y], "").unwrap();
        graph.set_output("sum", sum);
    }
    graph
}

fn batches() -> BTreeMap<String, Tensor> {
    let vector = |name: &str, data: &[f64]| (name.to_owned(), Tensor::new([1], data.to_vec()));
    let mut given = BTreeMap::from([
        vector("gamma", &[1.0]),
        vector("beta", &[0.0]),
        vector("mean", &[8.0]),
        vector("var", &[4.0]),
    ]);
    given.insert("a".to_owned(), Tensor::new([4, 1], vec![1.0, 2.0, 3.0, 6.0]));
    given.insert("b".to_owned(), Tensor::new([4, 1], vec![-1.0, -1.0, 1.0, 1.0]));
    given
}

/// Means 3 and 0; squared differences 4+1+0+9 = 14 and 4, over n−1 = 3.
#[test]
fn a_norm_that_is_called_twice_updates_twice_in_order() {
    let mut graph = norm_called_twice();
    attach_statistics(&mut graph, None).unwrap();
    let states = evaluate(&graph, &batches(), Randomness::default()).unwrap().states;
    let moved = |running: f64, batch: f64| 0.75 * running + 0.25 * batch;
    assert_near("mean", states["mean"].data[0], moved(moved(8.0, 3.0), 0.0));
    assert_near("variance", states["var"].data[0], moved(moved(4.0, 14.0 / 3.0), 4.0 / 3.0));
}

/// The mean over steps of one norm's statistics, whatever stood there before.
#[test]
fn cumulative_statistics_are_the_mean_over_all_batches() {
    let mut graph = Graph::new(4);
    let x = graph.add_one(Input { name: "a".to_owned(), shape: [1].into(), meaning: Meaning::F32 }, &[], "").unwrap();
    let norm = ["gamma", "beta", "mean", "var"].map(|path| state(&mut graph, path, [1]));
    let y = graph.add(BatchNorm { eps: 1e-5, momentum: 0.25 }, &[&[x], &norm[..]].concat(), "").unwrap()[0];
    graph.set_output("y", y);
    let mut graph = calibration(&graph).unwrap();
    graph.retain_outputs(&[]).unwrap();
    assert!(graph.dump().contains(&format!("{:?}", StatisticsMomentum::Cumulative).to_lowercase()));

    let mut given = batches();
    let batches = [[1.0, 2.0, 3.0, 6.0], [-1.0, -1.0, 1.0, 1.0], [10.0, 10.0, 10.0, 14.0]];
    for (step, batch) in (0..).zip(batches) {
        given.insert("a".to_owned(), Tensor::new([4, 1], batch.to_vec()));
        let states = evaluate(&graph, &given, Randomness { seed: 0, step }).unwrap().states;
        given.extend(states);
    }
    assert_near("mean", given["mean"].data[0], (3.0 + 0.0 + 11.0) / 3.0);
    assert_near("variance", given["var"].data[0], (14.0 / 3.0 + 4.0 / 3.0 + 12.0 / 3.0) / 3.0);
}
