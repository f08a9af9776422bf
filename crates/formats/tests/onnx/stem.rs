//! The stem taken apart: exact integers of pixels on one side, a float convolution of a normalised image that zeroes surround on the other.

use binary_nets_formats::model::{Elements, Model};
use binary_nets_formats::onnx::{Form, export, import};
use binary_nets_graph::Window;
use binary_nets_graph::ops::Border;

use crate::network::{Builder, MEAN, STD};

fn constant<'m>(model: &'m Model, path: &str) -> &'m Elements {
    &model.constants.iter().find(|constant| constant.path == path).unwrap().data
}

/// Every output of both, for one image.
fn compare(border: Border, o: usize) {
    let mut b = Builder::new();
    let y = b.stem(o, border);
    let [h, w] = border.input;
    let pixels: Vec<u8> = (0..h * w * 3).map(|_| b.bits() as u8).collect();
    let model = b.finish(&[("map", y)]);
    let imported = import(&export(&model, Form::Portable).unwrap(), None).unwrap();
    let state = |path: &str| &imported.states.iter().find(|state| state.path == path).unwrap().data;
    let (weight, bias) = (state("bn1.weight"), state("bn1.bias"));
    let (Elements::I16(q), Elements::F32(a), Elements::F32(c)) =
        (constant(&model, "conv1.q"), constant(&model, "bn1.a"), constant(&model, "bn1.c"))
    else {
        panic!("constants of other types")
    };

    let window = border.window;
    let output = window.output(border.input).unwrap();
    let cases = [0, 1].map(|axis| window.border_cases(axis, border.input[axis], output[axis]));
    let [kh, kw] = window.kernel;
    for i in 0..output[0] {
        for j in 0..output[1] {
            let case = cases[0].of_output[i] * cases[1].taps.len() + cases[1].of_output[j];
            for out in 0..o {
                let (mut exact, mut float, mut size) = (0i64, 0.0, 0.0);
                for row in 0..kh {
                    for column in 0..kw {
                        let place = (window.source(0, h, i, row), window.source(1, w, j, column));
                        let (Some(y), Some(x)) = place else { continue };
                        for channel in 0..3 {
                            let pixel = pixels[(y * w + x) * 3 + channel];
                            exact += i64::from(pixel) * i64::from(q[((out * kh + row) * kw + column) * 3 + channel]);
                            let z = (f64::from(pixel) / 255.0 - MEAN[channel]) / STD[channel];
                            let term = z * f64::from(weight[((out * 3 + channel) * kh + row) * kw + column]);
                            float += term;
                            size += term.abs();
                        }
                    }
                }
                let frozen = f64::from(a[out]) * exact as f64 + f64::from(c[case * o + out]);
                let written = float + f64::from(bias[out]);
                // The weights, the bias and c are rounded to f32, each once; c stands for a sum as large as that of the terms.
                let most = f64::from(f32::EPSILON)
                    * (size + frozen.abs() + f64::from(c[case * o + out]).abs() + f64::from(bias[out]).abs());
                assert!((frozen - written).abs() <= most, "{frozen} and {written} at {i} {j} {out}");
            }
        }
    }
}

#[test]
fn every_border_case_is_one_convolution() {
    for (window, input) in [
        (Window::square(3, 1, 1), [5, 6]),
        (Window::square(7, 2, 3), [9, 12]),
        (Window { dilation: [2, 1], padding: [2, 0], ..Window::square(3, 1, 0) }, [8, 7]),
        // No output has all its taps inside.
        (Window::square(5, 1, 2), [3, 3]),
        (Window::square(3, 1, 0), [4, 4]),
    ] {
        compare(Border { window, input }, 4);
    }
}
