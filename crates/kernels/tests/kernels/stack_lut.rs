//! Every listed kernel that this machine can run, bitwise against chains of sums of four.

use crate::random::Random;
use binary_nets_bits::Codes;
use binary_nets_kernels::StackLut;
use binary_nets_kernels::stack_lut::{FLOATS, KERNELS, Kernel, PANEL, PLACES, ROWS, TABLES, Table, WORD};

/// A product of a stack of `depth` floats a row, in runs of `run`, with as many codes of `columns` columns.
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

impl Product {
    fn new(random: &mut Random, [run, depth, columns]: [usize; 3]) -> Self {
        let depth = depth * FLOATS;
        Self {
            codes: random.pick(&[Codes::Sign, Codes::Step]),
            run: run * FLOATS,
            depth,
            columns,
            x: random.floats(ROWS * depth),
            bits: (0..depth * columns).map(|_| random.below(2) == 1).collect(),
        }
    }

    /// The sums that the kernel makes of it, its tables made of rows or of columns.
    fn run(&self, kernel: &'static Kernel, upright: bool) -> Vec<f32> {
        let lut = StackLut::with_kernel(kernel, self.codes).unwrap();
        let mut sums = vec![0.0; StackLut::sums_len(self.columns)];
        let panels = self.columns.div_ceil(PANEL);
        for first in (0..self.depth).step_by(self.run) {
            let depth = self.run.min(self.depth - first);
            let mut tables = vec![Table::default(); depth / FLOATS];
            if upright {
                // Lines are longer than a stack.
                let x: Vec<f32> = (0..depth * (ROWS + 3))
                    .map(|i| (i / (ROWS + 3), i % (ROWS + 3)))
                    .map(|(k, row)| if row < ROWS { self.x[row * self.depth + first + k] } else { f32::NAN })
                    .collect();
                lut.tables_of_columns(&x[..x.len() - 3], ROWS + 3, &mut tables);
            } else {
                lut.tables_of_rows(&self.x[first..], self.depth, &mut tables);
            }
            let mut places = vec![0; depth.div_ceil(WORD) * panels * PLACES];
            for (i, places) in places.as_chunks_mut::<PLACES>().0.iter_mut().enumerate() {
                let bit = |k: usize, lane: usize| {
                    let (k, column) = (i / panels * WORD + k, i % panels * PANEL + lane);
                    k < depth && column < self.columns && self.bits[(first + k) * self.columns + column]
                };
                lut.lay(&std::array::from_fn(|k| (0..PANEL).map(|lane| u64::from(bit(k, lane)) << lane).sum()), places);
            }
            lut.add(&tables, &places, &mut sums);
        }
        sums
    }

    /// The sum of one element.
    fn oracle(&self, row: usize, column: usize) -> f32 {
        let product = |k: usize| {
            let code = self.codes.value(self.bits[k * self.columns + column]);
            self.x[row * self.depth + k] * code as f32
        };
        let fours = (0..self.depth).step_by(FLOATS);
        let fours = fours.map(|k| (product(k) + product(k + 1)) + (product(k + 2) + product(k + 3)));
        fours.fold(0.0, |sum, four| sum + four)
    }
}

fn available() -> Vec<&'static Kernel> {
    let (available, skipped): (Vec<&Kernel>, Vec<&Kernel>) =
        KERNELS.iter().partition(|kernel| kernel.id.isa().is_some());
    for kernel in skipped {
        println!("skipped {}: this machine lacks {}", kernel.id.name(), kernel.id.isa_name());
    }
    available
}

fn check(random: &mut Random, shape: [usize; 3]) {
    let product = Product::new(random, shape);
    for kernel in available() {
        for upright in [false, true] {
            let sums = product.run(kernel, upright);
            for (column, sums) in sums.chunks_exact(ROWS).take(product.columns).enumerate() {
                for (row, sum) in sums.iter().enumerate() {
                    let expected = product.oracle(row, column);
                    let name = kernel.id.name();
                    assert_eq!(sum.to_bits(), expected.to_bits(), "{name} {shape:?} {:?}", product.codes);
                }
            }
        }
    }
}

#[test]
fn sums_have_the_bits_of_chains_of_sums_of_four() {
    let mut random = Random::new(1);
    for _ in 0..40 {
        let shape = [1 + random.below(TABLES), 1 + random.below(50), 1 + random.below(150)];
        check(&mut random, shape);
    }
    for columns in [1, 3, 4, 5, 63, 64, 65, 128, 129] {
        check(&mut random, [TABLES, TABLES, columns]);
    }
    for tables in 1..=TABLES {
        check(&mut random, [tables, tables, 70]);
    }
}

#[test]
fn sums_are_written_to_their_rows() {
    let mut random = Random::new(2);
    for kernel in available() {
        let lut = StackLut::with_kernel(kernel, Codes::Sign).unwrap();
        for columns in [1, 3, 4, 5, 15, 16, 17, 64, 70] {
            let sums = random.floats(StackLut::sums_len(columns));
            for count in [0, 1, 7, ROWS] {
                for accumulate in [false, true] {
                    let scale = random.float();
                    // Rows lie backwards and apart.
                    let rows: Vec<usize> = (0..count).map(|row| (ROWS - 1 - row) * (columns + 2)).collect();
                    let mut c = random.floats(ROWS * (columns + 2));
                    let mut expected = c.clone();
                    for (row, at) in rows.iter().enumerate() {
                        for column in 0..columns {
                            let start = if accumulate { expected[at + column] } else { 0.0 };
                            expected[at + column] = start + scale * sums[column * ROWS + row];
                        }
                    }
                    lut.write(&sums, (&rows, columns), (scale, accumulate), &mut c);
                    assert_eq!(c, expected, "{} {count} × {columns}", kernel.id.name());
                }
            }
        }
    }
}
