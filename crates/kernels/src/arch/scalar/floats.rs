use super::Scalar;
use crate::vector::Floats;

impl Floats for Scalar {
    type F32 = f32;
    const LANES: usize = 1;

    #[inline(always)]
    fn splat(self, x: f32) -> f32 {
        x
    }

    #[inline(always)]
    fn load(self, x: &[f32]) -> f32 {
        x[0]
    }

    #[inline(always)]
    fn store(self, v: f32, x: &mut [f32]) {
        x[0] = v;
    }

    #[inline(always)]
    fn add(self, a: f32, b: f32) -> f32 {
        a + b
    }

    #[inline(always)]
    fn subtract(self, a: f32, b: f32) -> f32 {
        a - b
    }

    #[inline(always)]
    fn mul_add(self, a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }

    #[inline(always)]
    fn negative(self, v: f32) -> u64 {
        u64::from(v < 0.0)
    }

    #[inline(always)]
    fn positive(self, v: f32) -> u64 {
        u64::from(v > 0.0)
    }
}
