//! Crops and flips against pixel-by-pixel definitions.

use std::collections::BTreeSet;

use binary_nets_data::{Augmentation, DataError, ImageShape, Random};

const SHAPES: [ImageShape; 4] = [
    ImageShape { height: 5, width: 7, channels: 3 },
    ImageShape { height: 6, width: 3, channels: 1 },
    ImageShape { height: 4, width: 4, channels: 2 },
    ImageShape { height: 1, width: 1, channels: 3 },
];

fn image(shape: ImageShape) -> Vec<u8> {
    (0..shape.bytes()).map(|i| 1 + (i * 53 % 200) as u8).collect()
}

fn apply(augmentation: Augmentation, shape: ImageShape, random: Random) -> Vec<u8> {
    let mut image = image(shape);
    augmentation.apply(&mut image, shape, random, &mut vec![9; 3]);
    image
}

/// The window of the padded image whose corner is at row `top` and column `left`.
fn crop(shape: ImageShape, padding: usize, fill: u8, top: usize, left: usize) -> Vec<u8> {
    let image = image(shape);
    let mut window = Vec::new();
    for y in top..top + shape.height {
        for x in left..left + shape.width {
            for c in 0..shape.channels {
                let inside = y >= padding && x >= padding && y - padding < shape.height && x - padding < shape.width;
                window.push(if inside {
                    image[((y - padding) * shape.width + x - padding) * shape.channels + c]
                } else {
                    fill
                });
            }
        }
    }
    window
}

#[test]
fn a_crop_is_a_window_of_the_padded_image() {
    for shape in SHAPES {
        for padding in 0..=shape.height.min(shape.width) {
            let mut corners = BTreeSet::new();
            for seed in 0..600 {
                let random = Random::new(seed);
                let (top, left) = (random.below(0, 2 * padding + 1), random.below(1, 2 * padding + 1));
                corners.insert((top, left));
                let got = apply(Augmentation::RandomCrop { padding, fill: 255 }, shape, random);
                assert_eq!(got, crop(shape, padding, 255, top, left), "{shape} {padding} {top} {left}");
            }
            // 600 draws miss none of at most 81 corners: the chance is below 81 * (80 / 81)^600 = 0.05, for fixed seeds.
            assert_eq!(corners.len(), (2 * padding + 1).pow(2));
        }
    }
}

#[test]
fn a_flip_mirrors_pixels_and_keeps_channels() {
    for shape in SHAPES {
        let image = image(shape);
        let mut mirrored = Vec::new();
        for y in 0..shape.height {
            for x in (0..shape.width).rev() {
                for c in 0..shape.channels {
                    mirrored.push(image[(y * shape.width + x) * shape.channels + c]);
                }
            }
        }
        let flip = |probability, seed| apply(Augmentation::HorizontalFlip { probability }, shape, Random::new(seed));
        assert!((0..50).all(|seed| flip(1.0, seed) == mirrored && flip(0.0, seed) == image));
        let half: Vec<_> = (0..50).map(|seed| flip(0.5, seed)).collect();
        assert!(half.iter().all(|result| *result == mirrored || *result == image));
        assert!(half.contains(&mirrored) && half.contains(&image));
    }
}

#[test]
fn a_flip_happens_as_often_as_asked() {
    let shape = SHAPES[1];
    let flip = Augmentation::HorizontalFlip { probability: 0.3 };
    let flips = (0..10_000).filter(|&place| apply(flip, shape, Random::new(8).child(place)) != image(shape)).count();
    assert!((2_816..=3_184).contains(&flips), "{flips}"); // 4 standard deviations of sqrt(10000 * 0.3 * 0.7) = 46
}

#[test]
fn options_that_cannot_be_are_errors() {
    let shape = SHAPES[0];
    let culprit = |augmentation: Augmentation| match augmentation.check(shape) {
        Err(DataError::InvalidOption { option, .. }) => Some(option),
        _ => None,
    };
    assert_eq!(culprit(Augmentation::RandomCrop { padding: 5, fill: 0 }), None);
    assert_eq!(culprit(Augmentation::RandomCrop { padding: 6, fill: 0 }), Some("padding"));
    for probability in [-0.1, 1.1, f64::NAN] {
        assert_eq!(culprit(Augmentation::HorizontalFlip { probability }), Some("probability"));
    }
}

#[test]
fn lists_of_augmentations_are_readable_json() {
    let list = [Augmentation::RandomCrop { padding: 4, fill: 0 }, Augmentation::HorizontalFlip { probability: 0.5 }];
    let json = r#"[{"kind":"randomCrop","padding":4,"fill":0},{"kind":"horizontalFlip","probability":0.5}]"#;
    assert_eq!(serde_json::to_string(&list).unwrap(), json);
    assert_eq!(serde_json::from_str::<[Augmentation; 2]>(json).unwrap(), list);
}
