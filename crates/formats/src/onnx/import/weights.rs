//! What weights are by their numbers: of one bit, ternary, or floats.

/// Weights `[o, …]`.
#[derive(PartialEq, Debug)]
pub enum Weights {
    /// ±s with one s for each output channel, or for all: the signs, and s.
    Binary { signs: Vec<f32>, scale: Vec<f32> },
    /// `positive`, 0 and `−negative`: 1, 0 and −1, and both values.
    Ternary { signs: Vec<f32>, positive: f32, negative: f32 },
    /// Anything else.
    Float(Vec<f32>),
}

impl Weights {
    /// Looks at the weights of `o` output channels.
    pub fn new(weights: Vec<f32>, o: usize) -> Self {
        let Some(per_channel) = weights.len().checked_div(o).filter(|&n| n > 0) else { return Self::Float(weights) };
        let scales: Vec<f32> = weights.chunks(per_channel).map(|channel| channel[0].abs()).collect();
        let mut channels = weights.chunks(per_channel).zip(&scales);
        if channels.all(|(channel, scale)| channel.iter().all(|w| w.abs() == *scale)) {
            let is_one = scales.iter().all(|scale| *scale == scales[0]);
            let signs = weights.iter().map(|&w| if w < 0.0 { -1.0 } else { 1.0 }).collect();
            return Self::Binary { signs, scale: if is_one { vec![scales[0]] } else { scales } };
        }
        let first = |is_wanted: fn(f32) -> bool| weights.iter().copied().find(|&w| is_wanted(w)).unwrap_or(1.0).abs();
        let (positive, negative) = (first(|w| w > 0.0), first(|w| w < 0.0));
        if weights.iter().all(|&w| w == 0.0 || w == positive || w == -negative) {
            let signs = weights.iter().map(|&w| if w == 0.0 { 0.0 } else { w.signum() }).collect();
            return Self::Ternary { signs, positive, negative };
        }
        Self::Float(weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_values_are_one_bit() {
        let one = Weights::new(vec![0.5, -0.5, -0.5, 0.5], 2);
        assert_eq!(one, Weights::Binary { signs: vec![1.0, -1.0, -1.0, 1.0], scale: vec![0.5] });
        let each = Weights::new(vec![0.5, -0.5, -0.25, 0.25], 2);
        assert_eq!(each, Weights::Binary { signs: vec![1.0, -1.0, -1.0, 1.0], scale: vec![0.5, 0.25] });
    }

    #[test]
    fn three_values_are_ternary_and_more_are_floats() {
        let three = Weights::new(vec![0.5, 0.0, -0.25, 0.5], 2);
        assert_eq!(three, Weights::Ternary { signs: vec![1.0, 0.0, -1.0, 1.0], positive: 0.5, negative: 0.25 });
        let plane = Weights::new(vec![1.0, 0.0, 0.0, 1.0], 2);
        assert_eq!(plane, Weights::Ternary { signs: vec![1.0, 0.0, 0.0, 1.0], positive: 1.0, negative: 1.0 });
        assert!(matches!(Weights::new(vec![0.5, 0.25, -0.5, 1.0], 2), Weights::Float(_)));
        assert!(matches!(Weights::new(vec![f32::NAN; 2], 1), Weights::Float(_)));
    }
}
