use super::Scalar;
use crate::vector::Fours;

impl Fours for Scalar {}
