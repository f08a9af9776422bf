//! Convolutions of numbers, written as the sums that they are.

use binary_nets_graph::{Shape, Window};

use crate::Tensor;
use crate::tensor::positions;

/// One product of a convolution: where its factors and its sum stand.
struct Product {
    /// `[n, i, j, o]`
    y: [usize; 4],
    /// `[o, c within the group, kh, kw]`
    w: [usize; 4],
    /// `[n, h, w, c]`, where that is inside the image.
    x: Option<[usize; 4]>,
}

/// All products of a convolution, each output's in ascending order of (kh, kw, c). The groups follow from the shapes.
fn products(window: &Window, x: &[usize], w: &[usize], y: &Shape) -> Vec<Product> {
    let groups = x[3] / w[1];
    let mut products = Vec::new();
    for p in positions(y) {
        let (n, i, j, o) = (p[0], p[1], p[2], p[3]);
        let first_channel = o / (y[3] / groups) * w[1];
        for kh in 0..window.kernel[0] {
            for kw in 0..window.kernel[1] {
                let row = window.source(0, x[1], i, kh);
                let column = window.source(1, x[2], j, kw);
                for c in 0..w[1] {
                    let x = row.zip(column).map(|(row, column)| [n, row, column, first_channel + c]);
                    products.push(Product { y: [n, i, j, o], w: [o, c, kh, kw], x });
                }
            }
        }
    }
    products
}

/// `y = Σ x·w`, with `outside` around the image. x `[n, h, w, c]`, w `[o, c/groups, kh, kw]`.
pub fn forward(window: &Window, x: &Tensor, w: &Tensor, outside: f64, shape: &Shape) -> Tensor {
    let mut y = Tensor::full(shape, 0.0);
    for p in products(window, &x.shape, &w.shape, shape) {
        *y.at_mut(&p.y) += p.x.map_or(outside, |at| x.at(&at)) * w.at(&p.w);
    }
    y
}

/// `dx = Σ dy·w` over the products that x takes part in.
pub fn grad_input(window: &Window, dy: &Tensor, w: &Tensor, shape: &Shape) -> Tensor {
    let mut dx = Tensor::full(shape, 0.0);
    for p in products(window, shape, &w.shape, &dy.shape) {
        if let Some(at) = p.x {
            *dx.at_mut(&at) += dy.at(&p.y) * w.at(&p.w);
        }
    }
    dx
}

/// `dw = Σ dy·x` over the products that w takes part in, with `outside` around the image.
pub fn grad_weight(window: &Window, x: &Tensor, dy: &Tensor, outside: f64, shape: &Shape) -> Tensor {
    let mut dw = Tensor::full(shape, 0.0);
    for p in products(window, &x.shape, shape, &dy.shape) {
        *dw.at_mut(&p.w) += dy.at(&p.y) * p.x.map_or(outside, |at| x.at(&at));
    }
    dw
}
