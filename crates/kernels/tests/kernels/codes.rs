//! Packers on every instruction set that this machine has, against bit views.

use crate::random::Random;
use binary_nets_bits::{BitLayout, Codes};
use binary_nets_kernels::{Isa, pack_between, pack_codes, pack_inside, pack_weight_bits, pack_weights};

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

/// A bit for each number, where the layout says.
fn expected(x: &[f32], layout: BitLayout, bit: impl Fn(f32) -> bool) -> Vec<u64> {
    let mut packed = vec![0; layout.len()];
    for (i, &x) in x.iter().enumerate() {
        let (row, rest) = (i / layout.row_channels(), i % layout.row_channels());
        layout.group_mut(&mut packed, row, rest / layout.channels).set(rest % layout.channels, bit(x));
    }
    packed
}

#[test]
fn codes_lie_where_the_layout_says() {
    let mut random = Random::new(1);
    for layout in layouts(&mut random) {
        let x = values(&mut random, layout.rows * layout.row_channels());
        for codes in [Codes::Sign, Codes::Step] {
            let expected = expected(&x, layout, |x| match codes {
                Codes::Sign => x < 0.0,
                Codes::Step => x > 0.0,
            });
            for isa in Isa::available() {
                let mut packed = vec![u64::MAX; layout.len()];
                pack_codes(isa, codes, &x, layout, &mut packed);
                assert_eq!(packed, expected, "{} {codes:?} {layout:?}", isa.name());
            }
        }
    }
}

#[test]
fn an_interval_has_its_ends_and_no_nan() {
    let mut random = Random::new(5);
    for layout in layouts(&mut random) {
        let mut x = values(&mut random, layout.rows * layout.row_channels());
        x.iter_mut().step_by(9).for_each(|x| *x = random.pick(&[-0.5, 0.25]));
        for interval in [-0.5..=0.25, 0.0..=f32::MAX, 0.0..=0.0] {
            let expected = expected(&x, layout, |x| *interval.start() <= x && x <= *interval.end());
            for isa in Isa::available() {
                let mut packed = vec![u64::MAX; layout.len()];
                pack_inside(isa, &interval, &x, layout, &mut packed);
                assert_eq!(packed, expected, "{} {interval:?} {layout:?}", isa.name());
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

#[test]
fn integers_between_bounds_lie_where_the_layout_says() {
    let mut random = Random::new(5);
    for layout in layouts(&mut random) {
        let mut numbers = |count: usize| (0..count).map(|_| random.below(9) as i16 - 4).collect::<Vec<_>>();
        let d = numbers(layout.rows * layout.row_channels());
        let (mut low, mut high) = (numbers(64 * layout.row_words()), numbers(64 * layout.row_words()));
        // Nothing is below, or above, the ends of the type.
        low.iter_mut().step_by(7).for_each(|low| *low = i16::MIN);
        high.iter_mut().step_by(5).for_each(|high| *high = i16::MAX);
        let groups = low.chunks_mut((64 * layout.words()).max(1)).zip(high.chunks_mut((64 * layout.words()).max(1)));
        groups.for_each(|(low, high)| {
            low[layout.channels..].fill(1);
            high[layout.channels..].fill(0);
        });
        let mut expected = vec![0; layout.len()];
        for (i, d) in d.iter().enumerate() {
            let (row, channel) = (i / layout.row_channels(), i % layout.row_channels());
            let (group, channel) = (channel / layout.channels, channel % layout.channels);
            let bound = group * 64 * layout.words() + channel;
            let inside = low[bound] <= *d && *d <= high[bound];
            layout.group_mut(&mut expected, row, group).set(channel, inside);
        }
        let wide = [&d, &low, &high].map(|x| x.iter().map(|&x| i32::from(x)).collect::<Vec<_>>());
        for isa in Isa::available() {
            let mut packed = vec![u64::MAX; layout.len()];
            pack_between(isa, &d, &low, &high, layout, &mut packed);
            assert_eq!(packed, expected, "{} {layout:?}", isa.name());
            packed.fill(u64::MAX);
            pack_between(isa, &wide[0], &wide[1], &wide[2], layout, &mut packed);
            assert_eq!(packed, expected, "{} {layout:?}, 32 bits", isa.name());
        }
    }
}
