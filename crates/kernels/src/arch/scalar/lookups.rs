use super::Scalar;
use crate::vector::Lookups;

impl Lookups for Scalar {
    type Places = u32;

    #[inline(always)]
    fn load_places(self, x: &[u32]) -> u32 {
        x[0]
    }

    #[inline(always)]
    fn next_places(self, places: u32) -> u32 {
        places >> 4
    }

    #[inline(always)]
    fn add_looked_up(self, table: &[f32], places: u32, sums: f32) -> f32 {
        sums + table[(places & 15) as usize]
    }
}
