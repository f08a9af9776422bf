//! Updates of parameters.

use binary_nets_graph::ops::{Adam, Finite, Increment, Sgd};

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
        for (t, weight_decay, clamp) in
            [(1.0, 0.0, None), (2.0, 0.01, None), (1000.0, 0.0, Some(1.0)), (7.0, 0.01, Some(0.5))]
        {
            let mut b = Builder::new(format!("adam/{n}/t{t}/decay{weight_decay}/clamp{clamp:?}"));
            let (w, dw) = (b.state(&[n], Fill::Uniform(1.0)), b.state(&[n], Fill::Uniform(4.0)));
            let (lr, t) = (b.scalar(0.01), b.constant(&[], t));
            let (m, v) = (b.state(&[n], Fill::Uniform(1.0)), b.state(&[n], Fill::Positive));
            b.ops(Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay, clamp }, &[w, dw, lr, t, m, v]);
            cases.push(b.outputs(&[]));
        }
    }
    for start in [0.0, 41.0] {
        let mut b = Builder::new(format!("increment/{start}"));
        let t = b.constant(&[], start);
        b.ops(Increment {}, &[t]);
        cases.push(b.outputs(&[]));
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
