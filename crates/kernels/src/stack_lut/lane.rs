//! What the lanes of a stack have.

use std::fmt::Debug;

use bytemuck::Pod;

use super::kernels::{self, Kernel};
use super::{LANES, MOST};

/// A number at which floats lie 1 apart, so that the lowest bits of its sum with a whole number are that number.
const UNIT: f32 = 12_582_912.0;

/// Whole numbers of two rows, [`MOST`] at most in magnitude.
pub type Pair = [i16; 2];

/// What a lane has: a float of one row, or whole numbers of two.
pub trait Lane: Pod + Debug + Default + Send + Sync {
    /// The number of one row.
    type Number: Pod;
    /// The sum of one row.
    type Sum: Pod + Debug + Send + Sync;
    /// Rows of one lane.
    const EACH: usize;
    /// Whether sums are exact, in whatever order.
    const EXACT: bool;
    /// Rows of a stack.
    const ROWS: usize = LANES * Self::EACH;

    /// A number.
    fn number(x: f32) -> Self::Number;
    /// A lane of as many numbers as it has rows.
    fn of(numbers: [f32; 2]) -> Self;
    /// `a + b`.
    fn plus(a: Self::Sum, b: Self::Sum) -> Self::Sum;
    /// A sum as a float, rounded once.
    fn float(sum: Self::Sum) -> f32;
    /// Every kernel: one for each instruction set.
    fn kernels() -> &'static [Kernel<Self>];
}

impl Lane for f32 {
    type Number = f32;
    type Sum = f32;
    const EACH: usize = 1;
    const EXACT: bool = false;

    #[inline(always)]
    fn number(x: f32) -> f32 {
        x
    }

    #[inline(always)]
    fn of([x, _]: [f32; 2]) -> Self {
        x
    }

    #[inline(always)]
    fn plus(a: f32, b: f32) -> f32 {
        a + b
    }

    #[inline(always)]
    fn float(sum: f32) -> f32 {
        sum
    }

    fn kernels() -> &'static [Kernel<Self>] {
        kernels::OF_FLOATS
    }
}

impl Lane for Pair {
    type Number = i16;
    type Sum = i32;
    const EACH: usize = 2;
    const EXACT: bool = true;

    #[inline(always)]
    fn number(x: f32) -> i16 {
        (x + UNIT).to_bits() as i16
    }

    #[inline(always)]
    fn of([first, second]: [f32; 2]) -> Self {
        let [first, second] = if cfg!(target_endian = "little") { [first, second] } else { [second, first] };
        // Joined as one, so that loops become vector code.
        bytemuck::cast((first + UNIT).to_bits() & 0xffff | (second + UNIT).to_bits() << 16)
    }

    #[inline(always)]
    fn plus(a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }

    #[inline(always)]
    fn float(sum: i32) -> f32 {
        sum as f32
    }

    fn kernels() -> &'static [Kernel<Self>] {
        kernels::OF_PAIRS
    }
}

/// The products of whole numbers and codes whose sum fits.
pub const MOST_DEPTH: usize = i32::MAX as usize / MOST as usize;
