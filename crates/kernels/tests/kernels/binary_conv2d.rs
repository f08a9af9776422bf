//! Every listed kernel that this machine can run, exact against a naive integer convolution.

use crate::random::Random;
use binary_nets_bits::{BitLayout, Codes};
use binary_nets_kernels::{
    BinaryConv2d, Conv2dGeometry, Isa, KernelError,
    binary_conv2d::{Dot, KERNELS, Kernel},
    naive,
};
use std::fmt::Debug;

struct Case {
    geometry: Conv2dGeometry,
    codes: Codes,
    pad_value: u8,
    /// Values of the codes, `[in_h, in_w, groups · in_channels]`.
    x: Vec<i32>,
    /// −1 or +1, `[groups · out_channels, in_channels, kh, kw]`.
    w: Vec<i32>,
}

impl Case {
    fn new(random: &mut Random, geometry: Conv2dGeometry, codes: Codes, pad_value: u8) -> Self {
        let (off, on) = codes.values();
        let mut values = |count, values: [i32; 2]| (0..count).map(|_| random.pick(&values)).collect();
        let x = values(geometry.in_size.iter().product::<usize>() * geometry.groups * geometry.in_channels, [off, on]);
        let w = values(geometry.all_out_channels() * geometry.in_channels * geometry.taps(), [1, -1]);
        Self { geometry, codes, pad_value, x, w }
    }

    fn random(random: &mut Random) -> Self {
        let geometry = random_geometry(random);
        let codes = random.pick(&[Codes::Sign, Codes::Step]);
        let pad_value = random.below(2) as u8;
        Self::new(random, geometry, codes, pad_value)
    }

    fn expected(&self) -> Vec<i32> {
        naive::conv2d(&self.geometry, &self.x, &self.w, self.pad_value.into())
    }

    fn name(&self) -> String {
        format!("{:?} pad {} {:?}", self.codes, self.pad_value, self.geometry)
    }
}

/// Small sizes of everything, with the channel counts around a word and a half.
pub fn random_geometry(random: &mut Random) -> Conv2dGeometry {
    let channels = [1, 2, 3, 7, 8, 9, 16, 17, 31, 32, 33, 48, 63, 64, 65, 96, 127, 128, 130, 192, 200];
    let kernel = [1 + random.below(5), 1 + random.below(5)];
    let dilation = [1 + random.below(3), 1 + random.below(3)];
    let padding = [random.below(4), random.below(4)];
    let least = |axis: usize| ((kernel[axis] - 1) * dilation[axis] + 1).saturating_sub(2 * padding[axis]).max(1);
    Conv2dGeometry {
        in_size: [least(0) + random.below(8), least(1) + random.below(14)],
        kernel,
        stride: [1 + random.below(3), 1 + random.below(3)],
        padding,
        dilation,
        groups: 1 + random.below(3),
        in_channels: random.pick(&channels),
        // Now and then, more than one block of every kernel.
        out_channels: if random.below(8) == 0 { 65 + random.below(70) } else { 1 + random.below(36) },
    }
}

/// Packs rows of code values bit by bit, through the views of the layout.
pub fn pack(codes: Codes, values: &[i32], layout: BitLayout) -> Vec<u64> {
    let mut packed = vec![0; layout.len()];
    for (i, &value) in values.iter().enumerate() {
        let (row, rest) = (i / layout.row_channels(), i % layout.row_channels());
        let bit = value == codes.value(true);
        layout.group_mut(&mut packed, row, rest / layout.channels).set(rest % layout.channels, bit);
    }
    packed
}

/// Weights from `[o, c, taps]` to `[o, taps, c]`.
pub fn channels_last(w: &[i32], channels: usize, taps: usize) -> Vec<i32> {
    (0..w.len())
        .map(|i| {
            let (o, tap, c) = (i / (channels * taps), i / channels % taps, i % channels);
            w[(o * channels + c) * taps + tap]
        })
        .collect()
}

/// Runs `case` in strips of `strip` rows, and checks that it equals `expected`.
fn check<T: Dot + Default + TryFrom<i32> + PartialEq + Debug>(
    kernel: &'static Kernel,
    case: &Case,
    expected: &[i32],
    strip: usize,
) where
    <T as TryFrom<i32>>::Error: Debug,
{
    let conv = BinaryConv2d::with_kernel(case.geometry.clone(), case.codes, case.pad_value, kernel).unwrap();
    let image = pack(case.codes, &case.x, conv.image_layout());
    let weights = channels_last(&case.w, case.geometry.in_channels, case.geometry.taps());
    let weights = pack(Codes::Sign, &weights, conv.weight_layout());
    // Buffers start dirty: nothing may depend on what they held.
    let mut laid = vec![0x5555_5555_5555_5555; conv.laid_weight_words()];
    conv.lay_weights(&weights, &mut laid);
    let mut scratch = vec![0xaaaa_aaaa_aaaa_aaaa; conv.scratch_words()];
    let [out_h, out_w] = case.geometry.out_size();
    let row = out_w * case.geometry.all_out_channels();
    let mut out = vec![T::default(); out_h * row];
    for start in (0..out_h).step_by(strip) {
        let rows = start..out_h.min(start + strip);
        conv.rows(&image, &laid, rows.clone(), &mut scratch, &mut out[rows.start * row..rows.end * row]);
    }
    let expected: Vec<T> = expected.iter().map(|&dot| T::try_from(dot).unwrap()).collect();
    assert!(out == expected, "{} strips of {strip}: {}", kernel.id.name(), case.name());
}

fn available() -> Vec<&'static Kernel> {
    let (available, skipped): (Vec<&Kernel>, Vec<&Kernel>) =
        KERNELS.iter().partition(|kernel| kernel.id.isa().is_some());
    for kernel in skipped {
        println!("skipped {}: this machine lacks {}", kernel.id.name(), kernel.id.isa_name());
    }
    available
}

#[test]
fn random_geometries_are_exact_on_every_kernel() {
    let mut random = Random::new(1);
    for _ in 0..400 {
        let case = Case::random(&mut random);
        let expected = case.expected();
        let rows = case.geometry.out_size()[0];
        for kernel in available() {
            check::<i16>(kernel, &case, &expected, rows);
            check::<i32>(kernel, &case, &expected, 1 + random.below(rows));
        }
    }
}

#[test]
fn resnet_layers_are_exact_on_every_kernel() {
    let mut random = Random::new(2);
    for (size, channels, stride) in [(23, 64, 1), (28, 16, 1), (14, 128, 2), (7, 512, 1)] {
        let geometry = Conv2dGeometry {
            in_size: [size, size],
            kernel: [3, 3],
            stride: [stride, stride],
            padding: [1, 1],
            dilation: [1, 1],
            groups: 1,
            in_channels: channels,
            out_channels: 64,
        };
        for (codes, pad_value) in [(Codes::Sign, 0), (Codes::Sign, 1), (Codes::Step, 0), (Codes::Step, 1)] {
            let case = Case::new(&mut random, geometry.clone(), codes, pad_value);
            let expected = case.expected();
            for kernel in available() {
                for strip in [1, 3, size] {
                    check::<i16>(kernel, &case, &expected, strip);
                }
            }
        }
    }
}

/// All products equal: the dot reaches its bound, which i16 just holds or just does not, or whose count needs more than 16 bits.
#[test]
fn extreme_dots_are_exact() {
    let mut random = Random::new(3);
    for channels in [32767, 32768, 70_001] {
        let geometry = Conv2dGeometry {
            in_size: [1, 3],
            kernel: [1, 1],
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
            in_channels: channels,
            out_channels: 2,
        };
        let mut case = Case::new(&mut random, geometry, Codes::Sign, 0);
        case.x.fill(-1);
        case.w[..channels].fill(-1);
        case.w[channels..].fill(1);
        let dot = channels as i32;
        let expected = [dot, -dot, dot, -dot, dot, -dot];
        for kernel in available() {
            check::<i32>(kernel, &case, &expected, 1);
            if channels == 32767 {
                check::<i16>(kernel, &case, &expected, 1);
            } else {
                let narrow = std::panic::catch_unwind(|| check::<i16>(kernel, &case, &[0; 6], 1));
                assert!(narrow.is_err(), "{} took i16 for {channels} channels", kernel.id.name());
            }
        }
    }
}

#[test]
fn bad_arguments_are_named() {
    let good = Conv2dGeometry {
        in_size: [4, 4],
        kernel: [3, 3],
        stride: [1, 1],
        padding: [0, 0],
        dilation: [1, 1],
        groups: 1,
        in_channels: 8,
        out_channels: 8,
    };
    let error = |geometry, pad_value| BinaryConv2d::new(geometry, Codes::Sign, pad_value, Isa::Scalar).unwrap_err();
    assert_eq!(error(Conv2dGeometry { stride: [1, 0], ..good.clone() }, 0), KernelError::Zero { field: "stride" });
    assert_eq!(
        error(Conv2dGeometry { dilation: [2, 1], ..good.clone() }, 0),
        KernelError::KernelTooLarge { axis: "rows", span: 5, padded: 4 }
    );
    assert_eq!(error(good.clone(), 2), KernelError::PadValue { value: 2 });
    assert!(BinaryConv2d::new(good, Codes::Sign, 1, Isa::Scalar).is_ok());
}

#[test]
fn every_instruction_set_has_a_kernel() {
    for isa in Isa::available() {
        assert!(KERNELS.iter().any(|kernel| kernel.id.isa() == Some(isa)), "{}", isa.name());
    }
}
