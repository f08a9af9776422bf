//! Numbers in f64, whatever they mean.

use binary_nets_graph::Shape;

/// Numbers in row-major order. Bits stand as their code values (−1/+1 or 0/1) in the logical shape, integers and indices as numbers.
#[derive(Clone, PartialEq, Debug)]
pub struct Tensor {
    /// The extents.
    pub shape: Shape,
    /// The elements, the last axis fastest.
    pub data: Vec<f64>,
}

impl Tensor {
    /// A tensor of these elements.
    ///
    /// # Panics
    ///
    /// When the elements do not fill the shape.
    pub fn new(shape: impl Into<Shape>, data: Vec<f64>) -> Self {
        let shape = shape.into();
        assert_eq!(shape.elements(), data.len(), "elements of a tensor {shape}");
        Self { shape, data }
    }

    /// A single number, shape `[]`.
    pub fn number(value: f64) -> Self {
        Self::new([], vec![value])
    }

    /// One number everywhere.
    pub fn full(shape: &Shape, value: f64) -> Self {
        Self { shape: shape.clone(), data: vec![value; shape.elements()] }
    }

    /// The element at each position is what `f` says for its coordinates.
    pub fn from_fn(shape: &Shape, mut f: impl FnMut(&[usize]) -> f64) -> Self {
        Self { shape: shape.clone(), data: positions(shape).iter().map(|p| f(p)).collect() }
    }

    /// The same for a rank that is known.
    ///
    /// # Panics
    ///
    /// When the shape has another rank.
    pub fn from_fn_rank<const N: usize>(shape: &Shape, mut f: impl FnMut([usize; N]) -> f64) -> Self {
        Self::from_fn(shape, |p| f(p.try_into().expect("the rank that the op infers")))
    }

    /// Every element through `f`.
    #[must_use]
    pub fn map(&self, f: impl FnMut(f64) -> f64) -> Self {
        Self { shape: self.shape.clone(), data: self.data.iter().copied().map(f).collect() }
    }

    /// The elements of two tensors of one shape through `f`.
    ///
    /// # Panics
    ///
    /// When the shapes differ.
    #[must_use]
    pub fn zip(&self, other: &Self, mut f: impl FnMut(f64, f64) -> f64) -> Self {
        assert_eq!(self.shape, other.shape, "tensors of one shape");
        Self { shape: self.shape.clone(), data: self.data.iter().zip(&other.data).map(|(&a, &b)| f(a, b)).collect() }
    }

    /// The element at these coordinates.
    pub fn at(&self, position: &[usize]) -> f64 {
        self.data[self.offset(position)]
    }

    /// The place of the element at these coordinates.
    pub fn at_mut(&mut self, position: &[usize]) -> &mut f64 {
        let offset = self.offset(position);
        &mut self.data[offset]
    }

    /// The element that stands at these coordinates of a shape that this one stretches to: axes are matched from the last, extents of 1 stretch.
    pub fn stretched(&self, position: &[usize]) -> f64 {
        let own = &position[position.len() - self.shape.len()..];
        let own: Vec<usize> =
            own.iter().zip(self.shape.iter()).map(|(&p, &extent)| if extent == 1 { 0 } else { p }).collect();
        self.at(&own)
    }

    fn offset(&self, position: &[usize]) -> usize {
        assert_eq!(position.len(), self.shape.len(), "coordinates in a tensor {}", self.shape);
        position.iter().zip(self.shape.iter()).fold(0, |offset, (&p, &extent)| {
            assert!(p < extent, "coordinates {position:?} in a tensor {}", self.shape);
            offset * extent + p
        })
    }
}

/// All coordinates of a shape in row-major order.
pub fn positions(shape: &Shape) -> Vec<Vec<usize>> {
    let mut positions = vec![Vec::new()];
    for &extent in shape.iter() {
        positions = positions
            .iter()
            .flat_map(|outer| {
                (0..extent).map(|p| {
                    let mut position = outer.clone();
                    position.push(p);
                    position
                })
            })
            .collect();
    }
    positions
}
