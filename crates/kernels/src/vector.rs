//! The vector traits over which every kernel is written once. Each folder of `arch` implements them.
//!
//! The methods take the token, the proof that the features exist, and are `#[inline(always)]`: they are meant to be called inside
//! [`Token::vectorize`], where the compiler may use those features.

use crate::isa::Isa;
use crate::stack_lut::Lane;

/// Proof that this machine has an instruction set: detection builds it, or that of another set that includes it.
pub trait Token: Copy + 'static {
    /// Name of the instruction set, as `BINARY_NETS_ISA` spells it.
    const NAME: &'static str;

    /// The token, if this machine has the instruction set.
    fn detect() -> Option<Self>;

    /// The token that `isa` carries, if it is this instruction set.
    fn of(isa: Isa) -> Option<Self>;

    /// The instruction set that this token proves.
    fn isa(self) -> Isa;

    /// Runs `work` inside a function compiled with these features.
    fn vectorize<R>(self, work: impl FnOnce() -> R) -> R;
}

/// Vectors of f32.
pub trait Floats: Token {
    /// The vector.
    type F32: Copy;
    /// Its elements.
    const LANES: usize;

    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::F32;
    /// The first elements of `x`.
    fn load(self, x: &[f32]) -> Self::F32;
    /// Writes the first elements of `x`.
    fn store(self, v: Self::F32, x: &mut [f32]);
    /// `a + b`.
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a - b`.
    fn subtract(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b + c`, rounded once.
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// Bit i = lane i is below zero.
    fn negative(self, v: Self::F32) -> u64;
    /// Bit i = lane i is above zero.
    fn positive(self, v: Self::F32) -> u64;
}

/// Transposes of floats and of bits.
pub trait Transposes: Floats {
    /// `columns[k][i] = rows[i][k]`.
    #[inline(always)]
    fn columns_of(self, rows: &[[f32; 4]; 16], columns: &mut [[f32; 16]; 4]) {
        for (i, row) in rows.iter().enumerate() {
            columns.iter_mut().zip(row).for_each(|(column, x)| column[i] = *x);
        }
    }
    /// `rows[i][k] = columns[k][i]`.
    #[inline(always)]
    fn rows_of(self, columns: &[[f32; 16]; 4], rows: &mut [[f32; 4]; 16]) {
        for (i, row) in rows.iter_mut().enumerate() {
            row.iter_mut().zip(columns).for_each(|(x, column)| *x = column[i]);
        }
    }
    /// Bit i of row k becomes bit k of lane i; there are eight rows at most, and bits of others are 0.
    #[inline(always)]
    fn transpose<const N: usize>(self, rows: &[u64; N], lanes: &mut [u8; 64]) {
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = (0..N).map(|k| ((rows[k] >> i) as u8 & 1) << k).sum();
        }
    }
}

/// Vectors of the lanes of a stack of rows.
pub trait Stacks<L: Lane>: Transposes {
    /// The vector.
    type Lanes: Copy;
    /// Its lanes.
    const WIDTH: usize;

    /// 0 in every lane.
    fn zero_lanes(self) -> Self::Lanes;
    /// The first elements of `x`.
    fn load_lanes(self, x: &[L]) -> Self::Lanes;
    /// Writes the first elements of `x`.
    fn store_lanes(self, v: Self::Lanes, x: &mut [L]);
    /// `a + b`; the caller knows that whole numbers fit.
    fn add_lanes(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// `a - b`.
    fn subtract_lanes(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// What is added to for those lanes of a column that begin at `lane`: floats go on from their sums, whole numbers in 16 bits begin at 0.
    fn begin(self, sums: &[L::Sum], lane: usize) -> Self::Lanes;
    /// Makes it the sums of these lanes, or adds it to them: first come those of the first row of every lane, then those of the second.
    fn end(self, v: Self::Lanes, sums: &mut [L::Sum], lane: usize);
}

impl<S: Transposes> Stacks<f32> for S {
    type Lanes = S::F32;
    const WIDTH: usize = S::LANES;

    #[inline(always)]
    fn zero_lanes(self) -> S::F32 {
        self.splat(0.0)
    }

    #[inline(always)]
    fn load_lanes(self, x: &[f32]) -> S::F32 {
        self.load(x)
    }

    #[inline(always)]
    fn store_lanes(self, v: S::F32, x: &mut [f32]) {
        self.store(v, x);
    }

    #[inline(always)]
    fn add_lanes(self, a: S::F32, b: S::F32) -> S::F32 {
        self.add(a, b)
    }

    #[inline(always)]
    fn subtract_lanes(self, a: S::F32, b: S::F32) -> S::F32 {
        self.subtract(a, b)
    }

    #[inline(always)]
    fn begin(self, sums: &[f32], lane: usize) -> S::F32 {
        self.load(&sums[lane..])
    }

    #[inline(always)]
    fn end(self, v: S::F32, sums: &mut [f32], lane: usize) {
        self.store(v, &mut sums[lane..]);
    }
}

/// Vectors of i32: sums of products, or pairs of i16 whose products they are.
///
/// In a convolution of pixels each lane is one output channel.
pub trait Pairs: Token {
    /// The vector.
    type I32: Copy;
    /// Its sums, or its pairs.
    const LANES: usize;

    /// Sums of nothing.
    fn zero_sums(self) -> Self::I32;
    /// `x` in every lane.
    fn splat_pair(self, x: [i16; 2]) -> Self::I32;
    /// The first pairs of `x`.
    fn load_pairs(self, x: &[[i16; 2]]) -> Self::I32;
    /// `sums + a₀·b₀ + a₁·b₁`, lane by lane; the caller knows that it fits.
    fn dot_pairs(self, a: Self::I32, b: Self::I32, sums: Self::I32) -> Self::I32;
    /// Writes the first elements of `out`.
    fn store_sums(self, sums: Self::I32, out: &mut [i32]);
}

/// Vectors of i32: sums of products, or quads of bytes whose products they are.
pub trait Quads: Pairs {
    /// `x` in every lane.
    fn splat_quad(self, x: [u8; 4]) -> Self::I32;
    /// The first quads of `x`.
    fn load_quads(self, x: &[[i8; 4]]) -> Self::I32;
    /// `sums + a₀·b₀ + a₁·b₁ + a₂·b₂ + a₃·b₃`, lane by lane; the caller knows that it fits.
    fn dot_quads(self, a: Self::I32, b: Self::I32, sums: Self::I32) -> Self::I32;
}

/// Vectors of 64-bit words of bits; in a binary product each lane is one output channel.
///
/// Counting has two stages, because some instruction sets count bytes: [`count`](Self::count) gives partial counts, of which
/// [`PARTIALS`](Self::PARTIALS) can be added before [`widen`](Self::widen) turns them into one count per lane.
pub trait Words: Token {
    /// The vector.
    type U64: Copy;
    /// Its words.
    const LANES: usize;
    /// How many partial counts add up without overflow.
    const PARTIALS: usize;
    /// Whether the parity behind the first, third, … pair of words comes complemented, and then the partial counts of a word of ones. It spares a set
    /// whose selects complement nothing an instruction in each pair: see [`carry`](Self::carry).
    const COMPLEMENTS: Option<u64> = None;

    /// `x` in every lane.
    fn splat_word(self, x: u64) -> Self::U64;
    /// The first words of `x`.
    fn load_words(self, x: &[u64]) -> Self::U64;
    /// Exclusive or.
    fn xor(self, a: Self::U64, b: Self::U64) -> Self::U64;
    /// Per bit, the carry of three bits given their running parities: `second ? !third : first`.
    ///
    /// With [`COMPLEMENTS`](Self::COMPLEMENTS), `second ? third : first` of words as they come: the carry if `third` is complemented, its complement
    /// if `first` is.
    fn carry(self, first: Self::U64, second: Self::U64, third: Self::U64) -> Self::U64;
    /// `partial` and the partial counts of [`carry`](Self::carry); less them, where `first` is `COMPLEMENTED`.
    #[inline(always)]
    fn add_carry<const COMPLEMENTED: bool>(
        self,
        partial: Self::U64,
        first: Self::U64,
        second: Self::U64,
        third: Self::U64,
    ) -> Self::U64 {
        self.add_partial(partial, self.count(self.carry(first, second, third)))
    }
    /// Partial counts of the ones of every lane.
    fn count(self, v: Self::U64) -> Self::U64;
    /// Sum of partial counts.
    fn add_partial(self, a: Self::U64, b: Self::U64) -> Self::U64;
    /// One count per lane.
    fn widen(self, partial: Self::U64) -> Self::U64;
    /// Sum, lane by lane.
    fn add(self, a: Self::U64, b: Self::U64) -> Self::U64;
    /// Writes `base + factor · counts` to the first elements of `out`.
    fn store_i32(self, counts: Self::U64, base: &[i32], factor: i32, out: &mut [i32]);
    /// As [`store_i32`](Self::store_i32), where every value fits into 16 bits.
    fn store_i16(self, counts: Self::U64, base: &[i32], factor: i32, out: &mut [i16]);
}

/// Vectors of bytes that are looked up in tables; each lane is one column of a product.
pub trait Bytes: Token {
    /// The vector.
    type U8: Copy;
    /// Its bytes.
    const LANES: usize;

    /// 0 in every lane.
    fn zero_bytes(self) -> Self::U8;
    /// The first bytes of `x`.
    fn load_bytes(self, x: &[u8]) -> Self::U8;
    /// `table[index]` of every lane; indices are below 16.
    fn lookup(self, table: &[u8; 16], indices: Self::U8) -> Self::U8;
    /// Sum modulo 256, lane by lane.
    fn add_bytes(self, a: Self::U8, b: Self::U8) -> Self::U8;
}

/// Vectors of counts of nibbles; in a binary product each lane is one output channel.
pub trait Nibbles: Bytes {
    /// `a − 16 · b` modulo 256, lane by lane.
    fn sub_sixteenfold(self, a: Self::U8, b: Self::U8) -> Self::U8;
    /// `v / 16`, lane by lane.
    fn sixteenth(self, v: Self::U8) -> Self::U8;
    /// Writes the lanes to the first elements of `sums` where they are the `first`, else adds them.
    fn sum_bytes(self, v: Self::U8, first: bool, sums: &mut [u16]);
}

/// Comparisons of vectors of integers.
pub trait Integers: Token {
    /// Bit i = `low[i] ≤ x[i] ≤ high[i]`.
    fn between_i16(self, x: &[i16; 64], low: &[i16; 64], high: &[i16; 64]) -> u64;
    /// The same in 32 bits.
    fn between_i32(self, x: &[i32; 64], low: &[i32; 64], high: &[i32; 64]) -> u64;
}
