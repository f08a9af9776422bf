use super::Scalar;
use crate::stack_lut::{LANES, Pair};
use crate::vector::Stacks;

impl Stacks<Pair> for Scalar {
    type Lanes = Pair;
    const WIDTH: usize = 1;

    #[inline(always)]
    fn zero_lanes(self) -> Pair {
        [0; 2]
    }

    #[inline(always)]
    fn load_lanes(self, x: &[Pair]) -> Pair {
        x[0]
    }

    #[inline(always)]
    fn store_lanes(self, v: Pair, x: &mut [Pair]) {
        x[0] = v;
    }

    #[inline(always)]
    fn add_lanes(self, a: Pair, b: Pair) -> Pair {
        [a[0].wrapping_add(b[0]), a[1].wrapping_add(b[1])]
    }

    #[inline(always)]
    fn subtract_lanes(self, a: Pair, b: Pair) -> Pair {
        [a[0].wrapping_sub(b[0]), a[1].wrapping_sub(b[1])]
    }

    #[inline(always)]
    fn begin(self, _: &[i32], _: usize) -> Pair {
        [0; 2]
    }

    #[inline(always)]
    fn end(self, v: Pair, sums: &mut [i32], lane: usize) {
        for (v, sums) in v.into_iter().zip(sums.chunks_exact_mut(LANES)) {
            sums[lane] = sums[lane].wrapping_add(v.into());
        }
    }
}
