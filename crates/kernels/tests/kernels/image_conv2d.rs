//! Every listed kernel that this machine can run, exact against a naive convolution of pixels.

use crate::random::Random;
use binary_nets_kernels::{
    Conv2dGeometry, ImageConv2d, Isa, KernelError,
    image_conv2d::{KERNELS, Kernel, Sum},
    naive,
};
use std::fmt::Debug;

struct Case {
    geometry: Conv2dGeometry,
    x: Vec<u8>,
    q: Vec<i16>,
}

impl Case {
    fn random(random: &mut Random, geometry: Conv2dGeometry, largest: i16) -> Self {
        let x = (0..geometry.in_size.iter().product::<usize>() * geometry.in_channels).map(|_| random.word() as u8);
        let x = x.collect();
        let weights = geometry.out_channels * geometry.taps() * geometry.in_channels;
        let range = 2 * largest as usize + 1;
        let q = (0..weights).map(|_| (random.below(range) as i32 - i32::from(largest)) as i16).collect();
        Self { geometry, x, q }
    }
}

/// Small sizes of everything; windows that are larger than the image, dilated, and wholly outside at the corners.
fn random_geometry(random: &mut Random) -> Conv2dGeometry {
    let kernel = [1 + random.below(7), 1 + random.below(7)];
    let dilation = [1 + random.below(3), random.pick(&[1, 1, 2, 3])];
    let padding = [random.below(9), random.below(9)];
    let least = |axis: usize| ((kernel[axis] - 1) * dilation[axis] + 1).saturating_sub(2 * padding[axis]).max(1);
    Conv2dGeometry {
        in_size: [least(0) + random.below(8), least(1) + random.below(20)],
        kernel,
        stride: [1 + random.below(4), 1 + random.below(4)],
        padding,
        dilation,
        groups: 1,
        in_channels: random.pick(&[1, 2, 3, 3, 4, 5, 16, 33, 64]),
        out_channels: random.pick(&[1, 3, 8, 15, 16, 17, 31, 32, 47, 64, 65, 100]),
    }
}

/// A window that covers all of an image of one row.
fn dot(in_channels: usize, columns: usize, out_channels: usize) -> Conv2dGeometry {
    Conv2dGeometry {
        in_size: [1, columns],
        kernel: [1, columns],
        stride: [1, 1],
        padding: [0, 0],
        dilation: [1, 1],
        groups: 1,
        in_channels,
        out_channels,
    }
}

/// The largest weights of 8 and of 16 bits.
const LARGEST: [i16; 2] = [127, 32767];

/// Runs `case`, of weights up to `largest`, in strips of `strip` rows, and checks that it equals `expected`.
fn check<T: Sum + TryFrom<i64> + PartialEq + Debug>(
    kernel: &'static Kernel,
    case: &Case,
    largest: i16,
    expected: &[i64],
    strip: usize,
) where
    <T as TryFrom<i64>>::Error: Debug,
{
    let conv = ImageConv2d::with_kernel(case.geometry.clone(), largest, kernel).unwrap();
    // Buffers start dirty: nothing may depend on what they held.
    let mut laid = vec![0x5555; conv.laid_weight_len()];
    conv.lay_weights(&case.q, &mut laid);
    let mut scratch = vec![0x5aaa; conv.scratch_len()];
    let [out_h, out_w] = case.geometry.out_size();
    let row = out_w * case.geometry.out_channels;
    let mut out = vec![T::try_from(0x5555).unwrap(); out_h * row];
    for start in (0..out_h).step_by(strip) {
        let rows = start..out_h.min(start + strip);
        conv.rows(&case.x, &laid, rows.clone(), &mut scratch, &mut out[rows.start * row..rows.end * row]);
    }
    let expected: Vec<T> = expected.iter().map(|&sum| T::try_from(sum).unwrap()).collect();
    assert!(out == expected, "{} strips of {strip}: {:?}", kernel.id.name(), case.geometry);
}

/// The kernels that this machine has for weights up to `largest`.
fn available(largest: i16) -> impl Iterator<Item = &'static Kernel> {
    KERNELS.iter().filter(move |kernel| kernel.id.isa().is_some() && largest <= kernel.largest())
}

#[test]
fn random_geometries_are_exact_on_every_kernel() {
    let mut random = Random::new(11);
    for (largest, times, often) in [(32767, 400, 50..=350), (127, 400, 400..=400)] {
        let mut narrow = 0;
        for _ in 0..times {
            let geometry = random_geometry(&mut random);
            let case = Case::random(&mut random, geometry, largest);
            let expected = naive::image_conv2d(&case.geometry, &case.x, &case.q);
            let rows = case.geometry.out_size()[0];
            let conv = ImageConv2d::new(case.geometry.clone(), largest, Isa::Scalar).unwrap();
            let fits = conv.sum_bound() <= i32::BOUND;
            narrow += u32::from(fits);
            for kernel in available(largest) {
                check::<i64>(kernel, &case, largest, &expected, rows);
                if fits {
                    check::<i32>(kernel, &case, largest, &expected, 1 + random.below(rows));
                }
                if conv.sum_bound() <= i16::BOUND {
                    check::<i16>(kernel, &case, largest, &expected, rows);
                }
            }
        }
        assert!(often.contains(&narrow), "{narrow} of {times} fit into 32 bits: both storages must be tried often");
    }
}

/// All products equal: the sum reaches its bound, which 32 bits just hold or just do not.
#[test]
fn extreme_sums_are_exact() {
    let some = |all: &[usize]| all.to_vec();
    let numbers = [
        some(&[1, 2, 3, 4, 5, 66310, 66311, 66312, 66316]),
        some(&[1, 2, 3, 256, 257, 258, 259, 513, 514, 515, 771, 1500]),
    ];
    for (largest, numbers) in LARGEST.into_iter().zip(numbers) {
        for products in numbers {
            for (channels, columns) in [(products, 1), (1, products)] {
                let geometry = dot(channels, columns, 2);
                let q = [vec![largest; products], vec![-largest; products]].concat();
                let case = Case { geometry, x: vec![255; products], q };
                let sum = 255 * i64::from(largest) * products as i64;
                for kernel in available(largest) {
                    check::<i64>(kernel, &case, largest, &[sum, -sum], 1);
                    if sum <= i32::BOUND {
                        check::<i32>(kernel, &case, largest, &[sum, -sum], 1);
                    } else {
                        let narrow = std::panic::catch_unwind(|| check::<i32>(kernel, &case, largest, &[0; 2], 1));
                        assert!(narrow.is_err(), "{} took i32 for {products} products", kernel.id.name());
                    }
                }
            }
        }
    }
}

#[test]
fn extreme_stems_are_exact() {
    let mut random = Random::new(12);
    let stems = [(7, 2, 3, 3, 1), (11, 4, 2, 3, 1), (3, 1, 1, 1, 1), (7, 1, 6, 5, 2)];
    for (largest, (kernel, stride, padding, channels, dilation)) in
        LARGEST.into_iter().flat_map(|largest| stems.map(|stem| (largest, stem)))
    {
        let geometry = Conv2dGeometry {
            in_size: [23, 29],
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [padding; 2],
            dilation: [dilation; 2],
            groups: 1,
            in_channels: channels,
            out_channels: 64,
        };
        let mut case = Case::random(&mut random, geometry, largest);
        case.x.fill(255);
        case.q.iter_mut().for_each(|q| *q = q.signum() * largest);
        case.q[..channels * kernel * kernel].fill(largest);
        let expected = naive::image_conv2d(&case.geometry, &case.x, &case.q);
        for kernel in available(largest) {
            check::<i64>(kernel, &case, largest, &expected, 2);
        }
    }
}

#[test]
fn bad_arguments_are_named() {
    let good = dot(3, 3, 8);
    let error = |geometry| ImageConv2d::new(geometry, 127, Isa::Scalar).unwrap_err();
    assert_eq!(error(Conv2dGeometry { groups: 2, ..good.clone() }), KernelError::Groups { groups: 2 });
    assert_eq!(error(Conv2dGeometry { stride: [0, 1], ..good.clone() }), KernelError::Zero { field: "stride" });
    assert_eq!(
        error(Conv2dGeometry { dilation: [1, 2], ..good.clone() }),
        KernelError::KernelTooLarge { axis: "columns", span: 5, padded: 3 }
    );
    assert!(ImageConv2d::new(good.clone(), 127, Isa::Scalar).is_ok());
    for kernel in available(127).filter(|kernel| kernel.largest() == 127) {
        let refused = ImageConv2d::with_kernel(good.clone(), 128, kernel).unwrap_err();
        assert_eq!(refused, KernelError::Weights { kernel: kernel.id.name(), most: 127, largest: 128 });
    }
}

#[test]
fn every_instruction_set_has_a_kernel() {
    for isa in Isa::available() {
        for largest in LARGEST {
            assert!(available(largest).any(|kernel| kernel.id.isa() == Some(isa)), "{} for {largest}", isa.name());
        }
    }
}
