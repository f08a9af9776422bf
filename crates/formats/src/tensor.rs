//! A named tensor.

/// A tensor of a file, as f32.
#[derive(Clone, PartialEq, Debug)]
pub struct Tensor {
    /// Its key: `layer1.0.conv1.weight`.
    pub path: String,
    /// Its extents.
    pub shape: Vec<usize>,
    /// Its elements, the last axis fastest.
    pub data: Vec<f32>,
}
