use super::Scalar;
use crate::vector::Transposes;

impl Transposes for Scalar {}
