//! Oracles: so short that they are obviously right. They allocate and are slow; tests compare every kernel with them.

use crate::{binary_conv2d::Conv2dGeometry, gemm::Matrix};

/// A convolution of integers over one image; taps outside it read `pad`.
///
/// # Shapes
/// `x: [in_h, in_w, groups · in_channels]`, `w: [groups · out_channels, in_channels, kh, kw]`; returns
/// `[out_h, out_w, groups · out_channels]`.
pub fn conv2d(g: &Conv2dGeometry, x: &[i32], w: &[i32], pad: i32) -> Vec<i32> {
    let [in_h, in_w] = g.in_size;
    let [out_h, out_w] = g.out_size();
    let mut y = Vec::new();
    for oy in 0..out_h {
        for ox in 0..out_w {
            for o in 0..g.groups * g.out_channels {
                let mut dot = 0;
                for c in 0..g.in_channels {
                    for ky in 0..g.kernel[0] {
                        for kx in 0..g.kernel[1] {
                            let iy = (oy * g.stride[0] + ky * g.dilation[0]).wrapping_sub(g.padding[0]);
                            let ix = (ox * g.stride[1] + kx * g.dilation[1]).wrapping_sub(g.padding[1]);
                            let channel = o / g.out_channels * g.in_channels + c;
                            let inside = iy < in_h && ix < in_w;
                            let a = if inside { x[(iy * in_w + ix) * g.groups * g.in_channels + channel] } else { pad };
                            dot += a * w[((o * g.in_channels + c) * g.kernel[0] + ky) * g.kernel[1] + kx];
                        }
                    }
                }
                y.push(dot);
            }
        }
    }
    y
}

/// A convolution of pixels over one image of one group; taps outside it read 0.
///
/// # Shapes
/// `x: [in_h, in_w, in_channels]`, `q: [out_channels, kh, kw, in_channels]`; returns `[out_h, out_w, out_channels]`.
pub fn image_conv2d(g: &Conv2dGeometry, x: &[u8], q: &[i16]) -> Vec<i64> {
    let ([in_h, in_w], [out_h, out_w], [kh, kw]) = (g.in_size, g.out_size(), g.kernel);
    let mut y = vec![0; out_h * out_w * g.out_channels];
    for (i, y) in y.iter_mut().enumerate() {
        let (oy, ox, o) = (i / g.out_channels / out_w, i / g.out_channels % out_w, i % g.out_channels);
        for tap in 0..kh * kw {
            let iy = (oy * g.stride[0] + tap / kw * g.dilation[0]).wrapping_sub(g.padding[0]);
            let ix = (ox * g.stride[1] + tap % kw * g.dilation[1]).wrapping_sub(g.padding[1]);
            if iy < in_h && ix < in_w {
                for c in 0..g.in_channels {
                    let x = x[(iy * in_w + ix) * g.in_channels + c];
                    *y += i64::from(x) * i64::from(q[(o * kh * kw + tap) * g.in_channels + c]);
                }
            }
        }
    }
    y
}

/// `c[i, j] = start(i, j) + Σ a[i, k] · b[k, j]`, one ascending chain of fused multiply-adds per element.
///
/// `start` is `c` itself where `accumulate`, else 0.
///
/// # Shapes
/// `a: [m, k]`, `b: [k, n]`, `c: [m, n]` with rows `c_stride` apart.
pub fn gemm(
    (m, n, k): (usize, usize, usize),
    a: Matrix<'_>,
    b: Matrix<'_>,
    c: &mut [f32],
    c_stride: usize,
    accumulate: bool,
) {
    for i in 0..m {
        for j in 0..n {
            let start = if accumulate { c[i * c_stride + j] } else { 0.0 };
            c[i * c_stride + j] = (0..k).fold(start, |sum, k| a.at(i, k).mul_add(b.at(k, j), sum));
        }
    }
}
