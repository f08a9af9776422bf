//! Sums of a few rows of a matrix, each times a number: products where most numbers are zero and stand nowhere.

use bytemuck::Pod;

/// Lanes of a row, which are columns of the matrix, and how many whole numbers have where there are so many columns: two registers of 512 bits.
pub const NARROW: usize = 32;
/// See [`NARROW`].
pub const WIDE: usize = 64;

/// Numbers that are summed, and the elements of the matrix: −1, 0 and 1.
pub trait Number: Pod + Send + Sync {
    /// How many numbers of −127 to 127 have an exact sum, or any where sums may be rounded.
    const MOST: usize;

    /// The number nearest to `x`.
    fn of(x: f32) -> Self;
    /// As a float.
    fn float(self) -> f32;
    /// `self + a · b`.
    fn add_product(self, a: Self, b: Self) -> Self;
}

impl Number for f32 {
    const MOST: usize = usize::MAX;

    #[inline(always)]
    fn of(x: f32) -> Self {
        x
    }

    #[inline(always)]
    fn float(self) -> f32 {
        self
    }

    #[inline(always)]
    fn add_product(self, a: Self, b: Self) -> Self {
        self + a * b
    }
}

impl Number for i16 {
    const MOST: usize = Self::MAX as usize / 127;

    #[inline(always)]
    fn of(x: f32) -> Self {
        x as Self
    }

    #[inline(always)]
    fn float(self) -> f32 {
        f32::from(self)
    }

    #[inline(always)]
    fn add_product(self, a: Self, b: Self) -> Self {
        self.wrapping_add(a.wrapping_mul(b))
    }
}

/// `Σ numbers[i] · matrix[rows[i] + shift]` for each shift, in order of i.
///
/// It is meant to be called inside `vectorize`, where its sums stay in registers.
#[inline(always)]
fn row_sums<T: Number, const LANES: usize, const SHIFTS: usize>(
    numbers: &[T],
    rows: &[u32],
    matrix: &[[T; LANES]],
    shifts: [usize; SHIFTS],
) -> [[f32; LANES]; SHIFTS] {
    let mut totals = [[0.0; LANES]; SHIFTS];
    for (numbers, rows) in numbers.chunks(T::MOST).zip(rows.chunks(T::MOST)) {
        let mut sums = [[T::zeroed(); LANES]; SHIFTS];
        for (&number, &row) in numbers.iter().zip(rows) {
            for (sums, shift) in sums.iter_mut().zip(shifts) {
                let line = &matrix[row as usize + shift];
                for lane in 0..LANES {
                    sums[lane] = sums[lane].add_product(number, line[lane]);
                }
            }
        }
        for (totals, sums) in totals.iter_mut().zip(sums) {
            for lane in 0..LANES {
                totals[lane] += sums[lane].float();
            }
        }
    }
    totals
}

/// Taps whose sums are made at a time: they share what is read of the lists.
#[derive(Clone, Copy)]
pub enum Taps {
    /// One and the two behind it.
    Three(usize),
    /// One.
    One(usize),
}

impl Taps {
    /// All of them.
    pub fn of(taps: usize) -> impl Iterator<Item = Self> {
        let whole = taps / 3 * 3;
        (0..whole).step_by(3).map(Self::Three).chain((whole..taps).map(Self::One))
    }

    /// Calls `add(tap, sums)` with the sums of rows that are shifted as `shift` says.
    #[inline(always)]
    pub fn sum<T: Number, const LANES: usize>(
        self,
        (numbers, rows): (&[T], &[u32]),
        matrix: &[[T; LANES]],
        shift: impl Fn(usize) -> usize,
        mut add: impl FnMut(usize, &[f32; LANES]),
    ) {
        match self {
            Self::Three(tap) => {
                let sums = row_sums(numbers, rows, matrix, [shift(tap), shift(tap + 1), shift(tap + 2)]);
                add(tap, &sums[0]);
                add(tap + 1, &sums[1]);
                add(tap + 2, &sums[2]);
            }
            Self::One(tap) => {
                let [sums] = row_sums(numbers, rows, matrix, [shift(tap)]);
                add(tap, &sums);
            }
        }
    }
}

/// Adds `unit · sums` to as many elements as `out` has.
#[inline(always)]
pub fn add_scaled<const LANES: usize>(sums: &[f32; LANES], unit: f32, out: &mut [f32]) {
    if let Some(out) = out.first_chunk_mut::<LANES>() {
        for lane in 0..LANES {
            out[lane] += unit * sums[lane];
        }
    } else {
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out += unit * sum);
    }
}

/// The elements of a row that bits stand for: `codes[bit]` in the first `len` lanes, behind them 0.
#[inline(always)]
pub fn row_of_bits<T: Number, const LANES: usize>(bits: u64, codes: [T; 2], len: usize) -> [T; LANES] {
    let mut row = [T::zeroed(); LANES];
    for (lane, element) in row.iter_mut().enumerate() {
        let number = if bits >> lane & 1 == 1 { codes[1] } else { codes[0] };
        *element = if lane < len { number } else { T::zeroed() };
    }
    row
}

#[cfg(test)]
mod tests {
    use super::{Number, Taps};

    const LANES: usize = 32;

    /// Every tap, with as many numbers as overflow 16 bits several times over, against sums in 64 bits.
    fn agrees<T: Number>() {
        let rows: Vec<u32> = (0..1000).map(|i| i * 7 % 13).collect();
        let matrix: Vec<[i64; LANES]> =
            (0..20).map(|row| std::array::from_fn(|lane| (row * 5 + lane as i64) % 3 - 1)).collect();
        let numbers: Vec<i64> = (0..1000).map(|i| if i % 50 == 0 { -127 } else { 127 }).collect();
        let of = |x: &i64| T::of(*x as f32);
        let given: Vec<T> = numbers.iter().map(of).collect();
        let rows_of_matrix: Vec<[T; LANES]> = matrix.iter().map(|row| row.each_ref().map(of)).collect();
        for taps in [1, 2, 3, 5, 7] {
            let mut seen = Vec::new();
            for few in Taps::of(taps) {
                few.sum(
                    (&given, &rows),
                    &rows_of_matrix,
                    |tap| tap,
                    |tap, sums| {
                        for (lane, sum) in sums.iter().enumerate() {
                            let products =
                                numbers.iter().zip(&rows).map(|(n, row)| n * matrix[*row as usize + tap][lane]);
                            assert_eq!(*sum, products.sum::<i64>() as f32, "tap {tap} of {taps}, lane {lane}");
                        }
                        seen.push(tap);
                    },
                );
            }
            assert_eq!(seen, (0..taps).collect::<Vec<_>>());
        }
    }

    #[test]
    fn sums_are_exact() {
        agrees::<i16>();
        agrees::<f32>();
    }
}
