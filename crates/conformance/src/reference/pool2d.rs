//! Max and average pools.

use binary_nets_graph::{Shape, Window};

use crate::Tensor;
use crate::tensor::positions;

/// The taps of an output inside the image, in row-major order: each its number and its place.
fn inside(window: &Window, image: &[usize], y: &[usize]) -> Vec<(usize, [usize; 4])> {
    let mut taps = Vec::new();
    for kh in 0..window.kernel[0] {
        for kw in 0..window.kernel[1] {
            if let (Some(row), Some(column)) =
                (window.source(0, image[1], y[1], kh), window.source(1, image[2], y[2], kw))
            {
                taps.push((kh * window.kernel[1] + kw, [y[0], row, column, y[3]]));
            }
        }
    }
    taps
}

/// The number and the value of the tap that wins; ties go to the first.
fn winner(window: &Window, x: &Tensor, y: &[usize]) -> (usize, f64) {
    let taps = inside(window, &x.shape, y).into_iter().map(|(tap, at)| (tap, x.at(&at)));
    taps.reduce(|best, tap| if tap.1 > best.1 { tap } else { best }).expect("every window touches the image")
}

pub fn max(window: &Window, x: &Tensor, shape: &Shape) -> Tensor {
    Tensor::from_fn(shape, |y| winner(window, x, y).1)
}

pub fn max_index(window: &Window, x: &Tensor, shape: &Shape) -> Tensor {
    Tensor::from_fn(shape, |y| winner(window, x, y).0 as f64)
}

pub fn max_grad(window: &Window, index: &Tensor, dy: &Tensor, shape: &Shape) -> Tensor {
    let mut dx = Tensor::full(shape, 0.0);
    for y in positions(&dy.shape) {
        for (tap, at) in inside(window, shape, &y) {
            if tap as f64 == index.at(&y) {
                *dx.at_mut(&at) += dy.at(&y);
            }
        }
    }
    dx
}

/// How many taps of an output lie on the image with its padding all around.
fn padded(window: &Window, image: &[usize], y: &[usize]) -> f64 {
    let mut taps = 0.0;
    for kh in 0..window.kernel[0] {
        for kw in 0..window.kernel[1] {
            let row = y[1] * window.stride[0] + kh * window.dilation[0];
            let column = y[2] * window.stride[1] + kw * window.dilation[1];
            if row < image[1] + 2 * window.padding[0] && column < image[2] + 2 * window.padding[1] {
                taps += 1.0;
            }
        }
    }
    taps
}

/// The padding counts as 0.
pub fn average(window: &Window, x: &Tensor, shape: &Shape) -> Tensor {
    Tensor::from_fn(shape, |y| {
        inside(window, &x.shape, y).iter().map(|(_, at)| x.at(at)).sum::<f64>() / padded(window, &x.shape, y)
    })
}

pub fn average_grad(window: &Window, dy: &Tensor, shape: &Shape) -> Tensor {
    let mut dx = Tensor::full(shape, 0.0);
    for y in positions(&dy.shape) {
        for (_, at) in inside(window, shape, &y) {
            *dx.at_mut(&at) += dy.at(&y) / padded(window, shape, &y);
        }
    }
    dx
}
