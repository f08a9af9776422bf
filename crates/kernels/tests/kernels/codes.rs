//! Packers on every instruction set that this machine has, against bit views.

use crate::random::Random;
use binary_nets_bits::{BitLayout, Codes};
use binary_nets_kernels::{Isa, pack_codes, pack_weight_bits, pack_weights, unpack_codes};

const SPECIAL: [f32; 8] = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-45, -1e-45, -f32::NAN];

/// Ordinary values with the special ones among them.
fn values(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| if random.below(4) == 0 { random.pick(&SPECIAL) } else { random.float() }).collect()
}

fn layouts(random: &mut Random) -> Vec<BitLayout> {
    let mut layouts: Vec<_> = (0..200)
        .map(|channels| BitLayout { rows: 1 + random.below(4), groups: 1 + random.below(3), channels })
        .collect();
    layouts.push(BitLayout { rows: 0, groups: 1, channels: 8 });
    layouts
}

#[test]
fn codes_lie_where_the_layout_says() {
    let mut random = Random::new(1);
    for layout in layouts(&mut random) {
        let x = values(&mut random, layout.rows * layout.row_channels());
        for codes in [Codes::Sign, Codes::Step] {
            let mut expected = vec![0; layout.len()];
            for (i, &x) in x.iter().enumerate() {
                let (row, rest) = (i / layout.row_channels(), i % layout.row_channels());
                let bit = match codes {
                    Codes::Sign => x < 0.0,
                    Codes::Step => x > 0.0,
                };
                layout.group_mut(&mut expected, row, rest / layout.channels).set(rest % layout.channels, bit);
            }
            for isa in Isa::available() {
                let mut packed = vec![u64::MAX; layout.len()];
                pack_codes(isa, codes, &x, layout, &mut packed);
                assert_eq!(packed, expected, "{} {codes:?} {layout:?}", isa.name());

                let mut unpacked = vec![f32::NAN; x.len()];
                unpack_codes(isa, codes, &packed, layout, &mut unpacked);
                for (x, y) in x.iter().zip(unpacked) {
                    assert_eq!(codes.value(codes.bit(*x)) as f32, y, "{} {codes:?} {layout:?}", isa.name());
                }
            }
        }
    }
}

#[test]
fn weights_are_packed_tap_by_tap() {
    let mut random = Random::new(2);
    for taps in [1, 2, 9, 25] {
        for channels in [0, 1, 16, 63, 64, 65, 130] {
            let outputs = 1 + random.below(4);
            let w = values(&mut random, outputs * channels * taps);
            let layout = BitLayout { rows: outputs * taps, groups: 1, channels };
            let mut expected = vec![0; layout.len()];
            for (i, &w) in w.iter().enumerate() {
                let (output, channel, tap) = (i / (channels * taps), i / taps % channels, i % taps);
                layout.group_mut(&mut expected, output * taps + tap, 0).set(channel, w < 0.0);
            }
            for isa in Isa::available() {
                let mut packed = vec![u64::MAX; layout.len()];
                pack_weights(isa, &w, outputs, channels, taps, &mut packed);
                assert_eq!(packed, expected, "{} {outputs}×{channels}×{taps}", isa.name());
            }

            let mut expected = vec![0; layout.len()];
            for (i, &w) in w.iter().enumerate() {
                let (output, channel, tap) = (i / (channels * taps), i / taps % channels, i % taps);
                layout.group_mut(&mut expected, output * taps + tap, 0).set(channel, w > 0.25);
            }
            for isa in Isa::available() {
                let mut packed = vec![u64::MAX; layout.len()];
                pack_weight_bits(isa, &w, [outputs, channels, taps], |w| w > 0.25, &mut packed);
                assert_eq!(packed, expected, "{} {outputs}×{channels}×{taps} above 1/4", isa.name());
            }
        }
    }
}
