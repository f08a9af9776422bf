//! Updates of parameters.

use binary_nets_graph::ops::{Adam, Assign, Bop, Clear, Finite, GlobalNorm, Increment, MovingAverage, Sgd};

use super::Case;
use super::builder::{Builder, Fill};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for n in [1, 7, 130, 1031] {
        for (momentum, nesterov) in [(0.0, false), (0.9, false), (0.9, true)] {
            for (weight_decay, clamp) in [(0.0, None), (0.01, None), (0.0, Some(1.0)), (0.01, Some(0.5))] {
                let mut b =
                    Builder::new(format!("sgd/{n}/momentum{momentum}-{nesterov}/decay{weight_decay}/clamp{clamp:?}"));
                let (w, dw) = (b.state(&[n], Fill::Uniform(1.0)), b.state(&[n], Fill::Uniform(4.0)));
                let mut inputs = vec![w, dw, b.scalar(0.1)];
                if momentum != 0.0 {
                    inputs.push(b.state(&[n], Fill::Uniform(1.0)));
                }
                b.ops(Sgd { momentum, nesterov, weight_decay, clamp }, &inputs);
                cases.push(b.outputs(&[]));
            }
        }
        for (i, (t, weight_decay, clamp)) in
            [(1.0, 0.0, None), (2.0, 0.01, None), (1000.0, 0.0, Some(1.0)), (7.0, 0.01, Some(0.5))]
                .into_iter()
                .cycle()
                .take(16)
                .enumerate()
        {
            let (decoupled, amsgrad) = (i / 4 % 2 == 1, i / 8 == 1);
            let kind = format!("decoupled-{decoupled}/amsgrad-{amsgrad}");
            let mut b = Builder::new(format!("adam/{n}/t{t}/decay{weight_decay}/clamp{clamp:?}/{kind}"));
            let (w, dw) = (b.state(&[n], Fill::Uniform(1.0)), b.state(&[n], Fill::Uniform(4.0)));
            let (lr, t) = (b.scalar(0.01), b.constant(&[], t));
            let (m, v) = (b.state(&[n], Fill::Uniform(1.0)), b.state(&[n], Fill::Positive));
            let mut inputs = vec![w, dw, lr, t, m, v];
            if amsgrad {
                // Sometimes smaller than v, sometimes larger.
                inputs.push(b.state(&[n], Fill::Positive));
            }
            b.ops(Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay, clamp, decoupled, amsgrad }, &inputs);
            cases.push(b.outputs(&[]));
        }
        for (gamma, threshold) in [(1e-4, 1e-8), (0.25, 0.3), (1.0, 0.0), (0.5, 100.0)] {
            let mut b = Builder::new(format!("bop/{n}/gamma{gamma}/threshold{threshold}"));
            let (w, dw) = (b.state(&[n], Fill::Turning), b.state(&[n], Fill::Turning));
            let inputs = [w, dw, b.scalar(gamma), b.state(&[n], Fill::Uniform(1.0))];
            b.ops(Bop { threshold }, &inputs);
            cases.push(b.outputs(&[]));
        }
        for decay in [0.0, 0.5, 0.999] {
            let mut b = Builder::new(format!("moving_average/{n}/{decay}"));
            let inputs = [b.state(&[n], Fill::Uniform(1.0)), b.state(&[n], Fill::Offset)];
            b.ops(MovingAverage { decay }, &inputs);
            cases.push(b.outputs(&[]));
        }
        let mut b = Builder::new(format!("assign/{n}"));
        let inputs = [b.state(&[n], Fill::Uniform(1.0)), b.state(&[n], Fill::Turning)];
        b.ops(Assign {}, &inputs);
        cases.push(b.outputs(&[]));
        let mut b = Builder::new(format!("clear/{n}"));
        let x = b.state(&[n], Fill::Offset);
        b.ops(Clear {}, &[x]);
        cases.push(b.outputs(&[]));
    }
    for start in [0.0, 41.0] {
        let mut b = Builder::new(format!("increment/{start}"));
        let t = b.constant(&[], start);
        b.ops(Increment {}, &[t]);
        cases.push(b.outputs(&[]));
    }
    // The numbers of the first add up to those that f32 cannot square; the large one takes several threads.
    for (name, shapes) in [
        ("huge", &[&[5_usize][..]][..]),
        ("one", &[&[]]),
        ("several", &[&[7], &[2, 3, 130], &[], &[17]]),
        ("large", &[&[13], &[100_003]]),
    ] {
        let mut b = Builder::new(format!("global_norm/{name}"));
        let tensors: Vec<_> = shapes.iter().map(|shape| b.state(shape, Fill::Uniform(4.0))).collect();
        if name == "huge" {
            b.overwrite(tensors[0], [(1, 3e30), (4, -4e30)]);
        }
        let y = b.op(GlobalNorm {}, &tensors);
        cases.push(b.outputs(&[y]));
    }
    for (what, number) in [("max", f32::MAX), ("inf", f32::INFINITY), ("-inf", f32::NEG_INFINITY), ("nan", -f32::NAN)] {
        // The large tensor takes several threads; the number stands at both ends, in its midst, and in a tensor of its own.
        for (tensor, at) in [(0, 0), (0, 100_002), (0, 16_384), (0, 70_001), (1, 12), (2, 0)] {
            let mut b = Builder::new(format!("finite/{what}/{tensor}-{at}"));
            let tensors = [&[100_003_usize][..], &[13], &[]].map(|shape| b.state(shape, Fill::Uniform(4.0)));
            b.overwrite(tensors[tensor], [(at, number)]);
            let y = b.op(Finite {}, &tensors);
            cases.push(b.outputs(&[y]));
        }
    }
    cases
}
