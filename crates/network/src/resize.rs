//! Tensors put into the places of larger or smaller ones.

use crate::stream::Stream;

/// How a tensor goes into a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fit {
    /// As it is.
    Same,
    /// Repeated along axes.
    Tiles,
    /// The corner at index 0 that both have.
    Corner,
}

impl Fit {
    /// How a tensor goes into a place of extents of 1 or more; nothing where it does not.
    pub fn of(from: &[usize], to: &[usize]) -> Option<Self> {
        if from == to {
            return Some(Self::Same);
        }
        if from.len() != to.len() || from.contains(&0) {
            return None;
        }
        if from.iter().zip(to).all(|(from, to)| to.is_multiple_of(*from)) {
            return Some(Self::Tiles);
        }
        matches!(from.len(), 1 | 2 | 4).then_some(Self::Corner)
    }
}

/// Normal noise on the elements from index `first` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    pub first: usize,
    pub deviation: f64,
    pub stream: Stream,
}

impl Noise {
    fn add(&self, first: usize, data: &mut [f32]) {
        for (i, x) in data.iter_mut().enumerate().map(|(i, x)| (first + i, x)).filter(|(i, _)| *i >= self.first) {
            *x = (f64::from(*x) + self.deviation * self.stream.normal(i as u64)) as f32;
        }
    }
}

/// Puts a tensor into a place, which keeps what it has where nothing comes; with noise on what comes.
pub(crate) fn put(source: &[f32], from: &[usize], data: &mut [f32], to: &[usize], fit: Fit, noise: Option<Noise>) {
    let put = |first: usize, place: &mut [f32], source: &[f32]| {
        place.copy_from_slice(source);
        if let Some(noise) = noise {
            noise.add(first, place);
        }
    };
    let (Some((&from_row, from)), Some((&to_row, to))) = (from.split_last(), to.split_last()) else {
        return put(0, data, source);
    };
    for (row, place) in data.chunks_mut(to_row).enumerate() {
        // The row's index along each axis, and the row of the source that it comes from.
        let (mut rest, mut at, mut rows, mut inside) = (row, 0, 1, true);
        for (&from, &to) in from.iter().zip(to).rev() {
            let i = rest % to;
            rest /= to;
            inside &= i < from;
            at += i % from * rows;
            rows *= from;
        }
        let source = &source[at * from_row..][..from_row];
        let first = row * to_row;
        match fit {
            Fit::Same | Fit::Tiles => {
                for (tile, place) in place.chunks_mut(from_row).enumerate() {
                    put(first + tile * from_row, place, source);
                }
            }
            Fit::Corner if inside => {
                let common = from_row.min(to_row);
                put(first, &mut place[..common], &source[..common]);
            }
            Fit::Corner => {}
        }
    }
}

/// The standard deviation of a tensor's elements.
pub(crate) fn deviation(data: &[f32]) -> f64 {
    let n = data.len() as f64;
    let mean = data.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    (data.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_counting(from: &[usize], to: &[usize], fit: Fit) -> Vec<f32> {
        let source: Vec<f32> = (1..=from.iter().product()).map(|i: usize| i as f32).collect();
        let mut data = vec![0.0; to.iter().product()];
        put(&source, from, &mut data, to, fit, None);
        data
    }

    #[test]
    fn extents_tell_how_a_tensor_fits() {
        for (from, to, expected) in [
            (&[2, 3][..], &[2, 3][..], Some(Fit::Same)),
            (&[], &[], Some(Fit::Same)),
            (&[2, 3], &[4, 3], Some(Fit::Tiles)),
            (&[1], &[5], Some(Fit::Tiles)),
            (&[1, 1, 1], &[5, 1, 2], Some(Fit::Tiles)),
            (&[2, 3], &[4, 5], Some(Fit::Corner)),
            (&[4], &[2], Some(Fit::Corner)),
            (&[8, 2, 3, 3], &[8, 2, 1, 1], Some(Fit::Corner)),
            (&[2, 2, 3], &[2, 2, 2], None),
            (&[1], &[1, 1], None),
            (&[], &[1], None),
            (&[0], &[2], None),
        ] {
            assert_eq!(Fit::of(from, to), expected, "{from:?} into {to:?}");
        }
    }

    #[test]
    fn tiles_repeat_along_every_axis() {
        assert_eq!(put_counting(&[2, 1], &[4, 2], Fit::Tiles), [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
        assert_eq!(put_counting(&[2], &[6], Fit::Tiles), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
        let (from, to) = ([2, 1, 3, 2], [4, 3, 3, 4]);
        for (i, &x) in put_counting(&from, &to, Fit::Tiles).iter().enumerate() {
            let [a, c, d] = [i / 36, i / 4 % 3, i % 4];
            assert_eq!(x, (a % 2 * 6 + c * 2 + d % 2 + 1) as f32, "element {i}");
        }
    }

    #[test]
    fn corners_leave_the_rest() {
        assert_eq!(put_counting(&[2, 3], &[3, 2], Fit::Corner), [1.0, 2.0, 4.0, 5.0, 0.0, 0.0]);
        assert_eq!(put_counting(&[2], &[3], Fit::Corner), [1.0, 2.0, 0.0]);
        assert_eq!(put_counting(&[3], &[2], Fit::Corner), [1.0, 2.0]);
        assert_eq!(put_counting(&[1, 2, 2, 1], &[2, 1, 3, 1], Fit::Corner), [1.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn noise_comes_from_an_index_on_and_only_on_what_is_put() {
        let noise = |first| Some(Noise { first, deviation: 0.5, stream: Stream::new(1, "w") });
        let mut data = vec![7.0; 8];
        put(&[1.0, 2.0], &[2, 1], &mut data, &[8, 1], Fit::Tiles, noise(2));
        assert_eq!(data[..2], [1.0, 2.0]);
        for (i, &x) in data.iter().enumerate().skip(2) {
            let expected = f64::from([1.0f32, 2.0][i % 2]) + 0.5 * Stream::new(1, "w").normal(i as u64);
            assert_eq!(x, expected as f32);
        }
        let mut data = vec![7.0; 3];
        put(&[1.0, 2.0], &[2], &mut data, &[3], Fit::Corner, noise(0));
        assert!(data[0] != 1.0 && data[1] != 2.0 && data[2] == 7.0, "{data:?}");
    }

    #[test]
    fn the_deviation_is_that_of_the_whole_tensor() {
        assert_eq!(deviation(&[1.0, 3.0, 1.0, 3.0]), 1.0);
        assert_eq!(deviation(&[2.0]), 0.0);
    }
}
