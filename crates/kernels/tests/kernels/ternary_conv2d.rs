//! The ternary convolution, exact against two naive integer ones.

use crate::binary_conv2d::{channels_last, pack, random_geometry};
use crate::random::Random;
use binary_nets_bits::Codes;
use binary_nets_kernels::{Conv2dGeometry, Isa, KernelError, TernaryConv2d, binary_conv2d::Dot, naive};
use std::fmt::Debug;

/// Weights −1, 0 and +1, as `[o, c, kh, kw]`; a one where they are `value`.
fn plane(w: &[i32], value: i32) -> Vec<i32> {
    w.iter().map(|&w| i32::from(w == value)).collect()
}

/// Runs a convolution in strips of `strip` rows, and checks its sums under both planes.
fn check<T: Dot + TryFrom<i32> + PartialEq + Debug>(
    (geometry, codes, pad_value): (&Conv2dGeometry, Codes, u8),
    isa: Isa,
    x: &[i32],
    w: &[i32],
    strip: usize,
) where
    <T as TryFrom<i32>>::Error: Debug,
{
    let conv = TernaryConv2d::new(geometry.clone(), codes, pad_value, isa).unwrap();
    let image = pack(codes, x, conv.image_layout());
    let packed = [1, -1].map(|value| {
        let plane = channels_last(&plane(w, value), geometry.in_channels, geometry.taps());
        pack(Codes::Step, &plane, conv.plane_layout())
    });
    // Buffers start dirty: nothing may depend on what they held.
    let mut laid = vec![0x5555_5555_5555_5555; conv.laid_weight_words()];
    conv.lay_weights(&packed[0], &packed[1], &mut laid);
    let mut scratch = vec![0xaaaa_aaaa_aaaa_aaaa; conv.scratch_words()];
    let [out_h, out_w] = geometry.out_size();
    let row = out_w * conv.pixel_sums();
    let mut sums = vec![T::default(); out_h * row];
    for start in (0..out_h).step_by(strip) {
        let rows = start..out_h.min(start + strip);
        conv.rows(&image, &laid, rows.clone(), &mut scratch, &mut sums[rows.start * row..rows.end * row]);
    }

    let expected = |value| naive::conv2d(geometry, x, &plane(w, value), pad_value.into());
    let expected = [1, -1].map(|value| -> Vec<T> { expected(value).iter().map(|&d| d.try_into().unwrap()).collect() });
    let outputs = geometry.out_channels;
    for side in [0, 1] {
        let got: Vec<T> = sums
            .chunks_exact(2 * outputs + 1)
            .flat_map(|sums| sums[side * outputs..][..outputs].iter().copied())
            .collect();
        assert!(got == expected[side], "side {side} on {}: {codes:?} pad {pad_value} {geometry:?}", isa.name());
    }
}

#[test]
fn random_geometries_are_exact_on_every_instruction_set() {
    let mut random = Random::new(4);
    for _ in 0..200 {
        let geometry = random_geometry(&mut random);
        let codes = random.pick(&[Codes::Sign, Codes::Step]);
        let pad_value = random.below(2) as u8;
        let (off, on) = codes.values();
        let mut values = |count, values: &[i32]| (0..count).map(|_| random.pick(values)).collect::<Vec<_>>();
        let x = values(geometry.in_size.iter().product::<usize>() * geometry.groups * geometry.in_channels, &[off, on]);
        let w = values(geometry.all_out_channels() * geometry.in_channels * geometry.taps(), &[-1, 0, 1]);
        let rows = geometry.out_size()[0];
        for isa in Isa::available() {
            check::<i16>((&geometry, codes, pad_value), isa, &x, &w, rows);
            check::<i32>((&geometry, codes, pad_value), isa, &x, &w, 1 + random.below(rows));
        }
    }
}

/// All products equal: the sum of the window and the dot are at opposite bounds of i16.
#[test]
fn extreme_sums_are_exact() {
    let channels = 32767;
    let geometry = Conv2dGeometry {
        in_size: [1, 2],
        kernel: [1, 1],
        stride: [1, 1],
        padding: [0, 0],
        dilation: [1, 1],
        groups: 1,
        in_channels: channels,
        out_channels: 3,
    };
    let w: Vec<i32> = [1, -1, 0].into_iter().flat_map(|w| vec![w; channels]).collect();
    for isa in Isa::available() {
        for (codes, code) in [(Codes::Sign, 1), (Codes::Sign, -1), (Codes::Step, 1), (Codes::Step, 0)] {
            check::<i16>((&geometry, codes, 0), isa, &vec![code; 2 * channels], &w, 1);
        }
    }
}

#[test]
fn bad_arguments_are_named() {
    let geometry = Conv2dGeometry {
        in_size: [4, 4],
        kernel: [3, 3],
        stride: [1, 1],
        padding: [0, 0],
        dilation: [1, 1],
        groups: 1,
        in_channels: 8,
        out_channels: 0,
    };
    let error = |geometry, pad_value| TernaryConv2d::new(geometry, Codes::Sign, pad_value, Isa::Scalar).unwrap_err();
    assert_eq!(error(geometry.clone(), 0), KernelError::Zero { field: "out_channels" });
    assert_eq!(error(Conv2dGeometry { out_channels: 1, ..geometry }, 2), KernelError::PadValue { value: 2 });
}
