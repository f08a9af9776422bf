//! Pools.

use binary_nets_graph::Window;
use binary_nets_graph::ops::{AvgPool2d, AvgPool2dGrad, MaxPool2d, MaxPool2dGrad, MaxPool2dIndex};

use super::Case;
use super::builder::{Builder, CHANNELS, Fill};

pub fn cases() -> Vec<Case> {
    let windows = [
        ("2x2s2", Window::square(2, 2, 0)),
        ("3x3s2p1", Window::square(3, 2, 1)),
        ("2x3s1x3p1x0d2x1", Window { kernel: [2, 3], stride: [1, 3], padding: [1, 0], dilation: [2, 1] }),
        // Its taps lie farther apart than the image is large, yet each window touches it.
        ("3x1p6x0d6x1", Window { kernel: [3, 1], stride: [1, 1], padding: [6, 0], dilation: [6, 1] }),
        ("global", Window { kernel: [5, 7], stride: [1, 1], padding: [0, 0], dilation: [1, 1] }),
    ];
    let mut cases = Vec::new();
    let input = [5, 7];
    for c in CHANNELS {
        for (window_name, window) in windows {
            let [h, w] = window.output(input).expect("windows that fit");

            for (fill, kind) in [(Fill::Coarse, "ties"), (Fill::Uniform(1.0), "uniform")] {
                let mut b = Builder::new(format!("max_pool2d/{window_name}/{kind}/c{c}"));
                let x = b.input(&[input[0], input[1], c], fill);
                let dy = b.input(&[h, w, c], Fill::Uniform(1.0));
                let y = b.op(MaxPool2d { window }, &[x]);
                let [largest, index] = b.ops(MaxPool2dIndex { window }, &[x])[..] else { panic!("two outputs") };
                let dx = b.op(MaxPool2dGrad { window, input }, &[index, dy]);
                cases.push(b.outputs(&[y, largest, index, dx]));
            }

            let over_the_end = window.output_ceil(input).expect("windows that fit");
            for (ceil, [h, w], kind) in [(false, [h, w], ""), (true, over_the_end, "/ceil")] {
                let mut b = Builder::new(format!("avg_pool2d/{window_name}/c{c}{kind}"));
                let x = b.input(&[input[0], input[1], c], Fill::Uniform(1.0));
                let y = b.op(AvgPool2d { window, ceil }, &[x]);
                cases.push(b.outputs(&[y]));

                let mut b = Builder::new(format!("avg_pool2d_grad/{window_name}/c{c}{kind}"));
                let dy = b.input(&[h, w, c], Fill::Uniform(1.0));
                let dx = b.op(AvgPool2dGrad { window, ceil, input }, &[dy]);
                cases.push(b.outputs(&[dx]));
            }
        }
    }
    cases
}
