//! Random variations of training images.

use serde::{Deserialize, Serialize};

use crate::{DataError, ImageShape, Random};

/// One random variation of a uint8 image; the shape stays. A loader applies a list of them in order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Augmentation {
    /// Pads every side by `padding` pixels of value `fill`, then cuts out the original size at a uniform place.
    RandomCrop {
        /// Pixels added to each side; at most the shorter side of the image.
        padding: usize,
        /// The value of every channel of an added pixel.
        fill: u8,
    },
    /// Mirrors left and right.
    HorizontalFlip {
        /// How often, from 0 to 1.
        probability: f64,
    },
}

impl Augmentation {
    /// Says whether the options suit images of this shape.
    pub fn check(&self, shape: ImageShape) -> Result<(), DataError> {
        match *self {
            Self::RandomCrop { padding, .. } => {
                let most = shape.height.min(shape.width);
                if padding > most {
                    return Err(DataError::option("padding", format!("at most {most}, the shorter side"), &padding));
                }
            }
            Self::HorizontalFlip { probability } => {
                if !(0.0..=1.0).contains(&probability) {
                    return Err(DataError::option("probability", "0 to 1", &probability));
                }
            }
        }
        Ok(())
    }

    /// Varies `image`, `[height, width, channels]`, by the first numbers of `random`: for a crop the row and the column
    /// of its corner in the padded image; for a flip whether to mirror. `scratch` is overwritten.
    pub fn apply(&self, image: &mut [u8], shape: ImageShape, random: Random, scratch: &mut Vec<u8>) {
        match *self {
            Self::RandomCrop { padding, fill } => {
                let [top, left] = [0, 1].map(|place| random.below(place, 2 * padding + 1));
                scratch.clear();
                scratch.extend_from_slice(image);
                image.fill(fill);
                let row = shape.width * shape.channels;
                // A shift of -padding ..= padding, split into what the source and what the target skips.
                let (from_y, to_y) = (top.saturating_sub(padding), padding.saturating_sub(top));
                let (from_x, to_x) = (left.saturating_sub(padding), padding.saturating_sub(left));
                let count = (shape.width - from_x - to_x) * shape.channels;
                for y in 0..shape.height - from_y - to_y {
                    let source = (from_y + y) * row + from_x * shape.channels;
                    let target = (to_y + y) * row + to_x * shape.channels;
                    image[target..][..count].copy_from_slice(&scratch[source..][..count]);
                }
            }
            Self::HorizontalFlip { probability } => {
                if random.unit(0) < probability {
                    for row in image.chunks_exact_mut(shape.width * shape.channels) {
                        row.reverse(); // mirrors the pixels, and the channels within each
                        row.chunks_exact_mut(shape.channels).for_each(<[u8]>::reverse);
                    }
                }
            }
        }
    }
}

/// The stream for one sample's augmentations; place 1 of a seed's stream is set aside for them.
pub(crate) fn augment_random(seed: u64, epoch: u64, position: u64) -> Random {
    Random::new(seed).child(1).child(epoch).child(position)
}
