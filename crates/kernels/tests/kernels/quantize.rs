//! Bytes of floats, exact against the formula.

use binary_nets_kernels::{Isa, quantize};

#[test]
fn bytes_are_those_of_the_formula() {
    let ties = (-600..=600).map(|i| i as f32 / 2.0);
    let beside = (-600..=600).flat_map(|i| [(i as f32 / 2.0).next_up(), (i as f32 / 2.0).next_down()]);
    let far = [f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE, -0.0, 1e9, -1e9, f32::NAN];
    let x: Vec<f32> = ties.chain(beside).chain(far).collect();
    for isa in Isa::available() {
        for zero in [0, 1, 127, 128, 201, 255] {
            for factor in [1.0, 0.37, 255.0, 1e-9] {
                let mut y = vec![0x55; x.len()];
                quantize(isa, &x, [x.len(); 2], factor, zero, &mut y);
                for (&x, &y) in x.iter().zip(&y) {
                    let exact = f64::from(factor * x).round_ties_even() + f64::from(zero);
                    // A cast takes NaN to 0, and what is out of reach to the nearest byte.
                    assert_eq!(y, exact as u8, "{x} · {factor} + {zero} on {}", isa.name());
                }
            }
        }
    }
}

#[test]
fn runs_start_a_step_apart() {
    let x: Vec<f32> = (0..250).map(|i| i as f32).collect();
    for isa in Isa::available() {
        for [run, step] in [[1, 1], [1, 3], [5, 5], [5, 7], [17, 40], [64, 65]] {
            let runs = (x.len() - run) / step + 1;
            let mut y = vec![0x55; runs * run];
            quantize(isa, &x, [run, step], 1.0, 3, &mut y);
            let expected: Vec<u8> = (0..y.len()).map(|i| (i / run * step + i % run + 3) as u8).collect();
            assert_eq!(y, expected, "{run} of {step} on {}", isa.name());
        }
    }
}

#[test]
#[should_panic(expected = "length of the bytes")]
fn there_must_be_enough_numbers() {
    quantize(Isa::Scalar, &[1.0; 7], [2, 3], 1.0, 0, &mut [0; 6]);
}
