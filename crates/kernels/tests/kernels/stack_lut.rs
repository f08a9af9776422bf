//! Every listed kernel that this machine can run, bitwise against chains of sums of five, or exact sums.

use crate::random::Random;
use binary_nets_bits::Codes;
use binary_nets_kernels::StackLut;
use binary_nets_kernels::stack_lut::{
    CODES, FOUR, Kernel, LANES, Lane, MOST, PANEL, PLACES, Pair, TABLES, Table, WORD,
};

/// A product of a stack of `depth` numbers a row, in runs of `run`, with as many codes of `columns` columns.
struct Product {
    codes: Codes,
    run: usize,
    depth: usize,
    columns: usize,
    /// `[rows, depth]`.
    x: Vec<f32>,
    /// `[depth, columns]`.
    bits: Vec<bool>,
}

/// Lanes whose sums can be told without tables.
trait Oracle: Lane {
    /// A number of the kind.
    fn random(random: &mut Random) -> f32;
    /// The sum of some products.
    fn sum(products: &[f32]) -> f32;
}

impl Oracle for f32 {
    fn random(random: &mut Random) -> f32 {
        random.float()
    }

    fn sum(products: &[f32]) -> f32 {
        products.chunks(CODES).fold(0.0, |sum, five| {
            let at = |k: usize| five.get(k).copied().unwrap_or(0.0);
            sum + (((at(0) + at(1)) + (at(2) + at(3))) + at(4))
        })
    }
}

impl Oracle for Pair {
    /// The largest are as likely as all others.
    fn random(random: &mut Random) -> f32 {
        let signed = if random.below(2) == 0 { MOST } else { -MOST };
        if random.below(2) == 0 { signed } else { random.below(255) as f32 - MOST }
    }

    fn sum(products: &[f32]) -> f32 {
        products.iter().map(|x| *x as i64).sum::<i64>() as f32
    }
}

impl Product {
    fn new<L: Oracle>(random: &mut Random, [run, depth, columns]: [usize; 3]) -> Self {
        Self {
            codes: random.pick(&[Codes::Sign, Codes::Step]),
            run,
            depth,
            columns,
            x: (0..L::ROWS * depth).map(|_| L::random(random)).collect(),
            bits: (0..depth * columns).map(|_| random.below(2) == 1).collect(),
        }
    }

    /// The lanes of number k.
    fn lanes<L: Lane>(&self, k: usize) -> [L; LANES] {
        std::array::from_fn(|lane| L::of([0, L::EACH - 1].map(|row| self.x[(row * LANES + lane) * self.depth + k])))
    }

    /// The sums that the kernel makes of it.
    fn run<L: Lane>(&self, random: &mut Random, kernel: &'static Kernel<L>) -> Vec<L::Sum> {
        let lut = StackLut::with_kernel(kernel, self.codes).unwrap();
        let mut sums = vec![bytemuck::Zeroable::zeroed(); StackLut::<L>::sums_len(self.columns)];
        let panels = self.columns.div_ceil(PANEL);
        for first in (0..self.depth).step_by(self.run) {
            let depth = self.run.min(self.depth - first);
            // Columns lie apart.
            let stride = LANES + random.below(4);
            let mut x = vec![L::of([f32::NAN; 2]); (depth - 1) * stride + LANES];
            for (k, column) in x.chunks_mut(stride).enumerate() {
                column[..LANES].copy_from_slice(&self.lanes(first + k));
            }
            let mut tables = vec![Table::<L>::default(); depth.div_ceil(CODES)];
            lut.tables(&x, stride, &mut tables);
            let mut places = vec![0; panels * PLACES];
            for (panel, places) in places.as_chunks_mut::<PLACES>().0.iter_mut().enumerate() {
                let bit = |k: usize, lane: usize| {
                    let column = panel * PANEL + lane;
                    k < depth && column < self.columns && self.bits[(first + k) * self.columns + column]
                };
                lut.lay(&std::array::from_fn(|k| (0..PANEL).map(|lane| u64::from(bit(k, lane)) << lane).sum()), places);
            }
            lut.add(&tables, &places, &mut sums);
        }
        sums
    }

    /// The sum of one element.
    fn oracle<L: Oracle>(&self, row: usize, column: usize) -> f32 {
        let product = |k: usize| {
            let code = self.codes.value(self.bits[k * self.columns + column]);
            self.x[row * self.depth + k] * code as f32
        };
        L::sum(&(0..self.depth).map(product).collect::<Vec<f32>>())
    }
}

fn available<L: Lane>() -> Vec<&'static Kernel<L>> {
    let (available, skipped): (Vec<&Kernel<L>>, Vec<&Kernel<L>>) =
        L::kernels().iter().partition(|kernel| kernel.id.isa().is_some());
    for kernel in skipped {
        println!("skipped {}: this machine lacks {}", kernel.id.name(), kernel.id.isa_name());
    }
    available
}

fn check<L: Oracle>(random: &mut Random, shape: [usize; 3]) {
    let product = Product::new::<L>(random, shape);
    for kernel in available::<L>() {
        let sums = product.run(random, kernel);
        for (column, sums) in sums.chunks_exact(L::ROWS).take(product.columns).enumerate() {
            for (row, sum) in sums.iter().enumerate() {
                let (sum, expected) = (L::float(*sum), product.oracle::<L>(row, column));
                let name = kernel.id.name();
                assert_eq!(sum.to_bits(), expected.to_bits(), "{name} {shape:?} {:?}: {sum} {expected}", product.codes);
            }
        }
    }
}

fn sums<L: Oracle>() {
    let mut random = Random::new(1);
    for _ in 0..40 {
        let run = (1 + random.below(TABLES)) * CODES;
        let shape = [run, 1 + random.below(250), 1 + random.below(150)];
        check::<L>(&mut random, shape);
    }
    for columns in [1, 3, 4, 5, 63, 64, 65, 128, 129] {
        check::<L>(&mut random, [WORD, WORD, columns]);
    }
    for depth in 1..=WORD {
        check::<L>(&mut random, [WORD, depth, 70]);
    }
}

#[test]
fn sums_of_floats_have_the_bits_of_chains_of_sums_of_five() {
    sums::<f32>();
}

#[test]
fn sums_of_whole_numbers_are_exact() {
    sums::<Pair>();
}

/// The largest numbers, all of one sign, in as many tables as are added at a time.
#[test]
fn the_largest_sums_fit() {
    for kernel in available::<Pair>() {
        for most in [MOST, -MOST] {
            let lut = StackLut::with_kernel(kernel, Codes::Sign).unwrap();
            let mut tables = vec![Table::<Pair>::default(); TABLES];
            lut.tables(&[Pair::of([most; 2]); WORD * LANES], LANES, &mut tables);
            let mut sums = vec![0; StackLut::<Pair>::sums_len(1)];
            for _ in 0..100 {
                lut.add(&tables, &[0; PLACES], &mut sums);
            }
            assert_eq!(sums[..Pair::ROWS], [100 * WORD as i32 * most as i32; Pair::ROWS], "{}", kernel.id.name());
        }
    }
}

fn columns<L: Oracle>() {
    let mut random = Random::new(3);
    for kernel in available::<L>() {
        let lut = StackLut::with_kernel(kernel, Codes::Sign).unwrap();
        for count in [0, 1, 5, 17] {
            let (count, stride) = (count * FOUR, count * FOUR + random.below(3));
            let x: Vec<L> =
                (0..LANES * stride + count).map(|_| L::of([L::random(&mut random), L::random(&mut random)])).collect();
            let mut columns = vec![[L::default(); LANES]; count];
            lut.columns(&x, stride, &mut columns);
            for (k, column) in columns.iter().enumerate() {
                for (line, lane) in column.iter().enumerate() {
                    let expected = x[line * stride + k];
                    assert_eq!(bytemuck::bytes_of(lane), bytemuck::bytes_of(&expected), "{}", kernel.id.name());
                }
            }
        }
    }
}

#[test]
fn lines_become_columns() {
    columns::<f32>();
    columns::<Pair>();
}

fn writes<L: Oracle>(sum: impl Fn(f32) -> L::Sum) {
    let mut random = Random::new(2);
    for kernel in available::<L>() {
        let lut = StackLut::with_kernel(kernel, Codes::Sign).unwrap();
        for columns in [1, 3, 4, 5, 15, 16, 17, 64, 70] {
            let sums: Vec<L::Sum> = (0..StackLut::<L>::sums_len(columns)).map(|_| sum(2e9 * random.float())).collect();
            for count in [0, 1, 7, LANES, L::ROWS - 1, L::ROWS] {
                for accumulate in [false, true] {
                    let scale = random.float();
                    // Rows lie backwards and apart.
                    let rows: Vec<usize> = (0..count).map(|row| (L::ROWS - 1 - row) * (columns + 2)).collect();
                    let mut c = random.floats(L::ROWS * (columns + 2));
                    let mut expected = c.clone();
                    for (row, at) in rows.iter().enumerate() {
                        for column in 0..columns {
                            let start = if accumulate { expected[at + column] } else { 0.0 };
                            expected[at + column] = start + scale * L::float(sums[column * L::ROWS + row]);
                        }
                    }
                    let (first, second) = rows.split_at(count.min(LANES));
                    lut.write(&sums, ([first, second], columns), (scale, accumulate), &mut c);
                    assert_eq!(c, expected, "{} {count} × {columns}", kernel.id.name());
                }
            }
        }
    }
}

#[test]
fn sums_are_written_to_their_rows() {
    writes::<f32>(|sum| sum);
    writes::<Pair>(|sum| sum as i32);
}
