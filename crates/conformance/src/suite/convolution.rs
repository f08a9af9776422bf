//! Float convolutions.

use binary_nets_graph::Window;
use binary_nets_graph::ops::{Conv2d, Conv2dGradInput, Conv2dGradWeight};

use super::Case;
use super::builder::{Builder, Fill};

pub fn cases() -> Vec<Case> {
    let windows = [
        ("3x3p1", Window::square(3, 1, 1)),
        ("1x1s2", Window::square(1, 2, 0)),
        ("3x3s2p1", Window::square(3, 2, 1)),
        ("7x7s2p3", Window::square(7, 2, 3)),
        ("2x3s1x2p0x2d3x1", Window { kernel: [2, 3], stride: [1, 2], padding: [0, 2], dilation: [3, 1] }),
    ];
    let mut cases = Vec::new();
    for [c, o, groups] in [[1, 1, 1], [3, 16, 1], [7, 5, 1], [65, 17, 1], [6, 4, 2], [5, 5, 5]] {
        for (name, window) in windows {
            let name = format!("c{c}o{o}g{groups}/{name}");
            let input = [7, 6];
            let [h, w] = window.output(input).expect("windows that fit");

            let mut b = Builder::new(format!("conv2d/{name}"));
            let x = b.input(&[input[0], input[1], c], Fill::Uniform(1.0));
            let weight = b.state(&[o, c / groups, window.kernel[0], window.kernel[1]], Fill::Uniform(1.0));
            let y = b.op(Conv2d { window, groups }, &[x, weight]);
            cases.push(b.outputs(&[y]));

            let mut b = Builder::new(format!("conv2d_grad_input/{name}"));
            let dy = b.input(&[h, w, o], Fill::Uniform(1.0));
            let weight = b.state(&[o, c / groups, window.kernel[0], window.kernel[1]], Fill::Uniform(1.0));
            let dx = b.op(Conv2dGradInput { window, groups, input }, &[dy, weight]);
            cases.push(b.outputs(&[dx]));

            let mut b = Builder::new(format!("conv2d_grad_weight/{name}"));
            let x = b.input(&[input[0], input[1], c], Fill::Uniform(1.0));
            let dy = b.input(&[h, w, o], Fill::Uniform(1.0));
            let dw = b.op(Conv2dGradWeight { window, groups }, &[x, dy]);
            cases.push(b.outputs(&[dw]));
        }
    }
    cases
}
