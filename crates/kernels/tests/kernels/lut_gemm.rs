//! Every listed kernel that this machine can run: whole numbers, whose sums are exact, against sums of integers, and any floats bitwise against the plain kernel.

use crate::random::Random;
use binary_nets_bits::Codes;
use binary_nets_kernels::LutGemm;
use binary_nets_kernels::lut_gemm::{FLOATS, Fours, Job, KERNELS, Kernel, PANEL, Row, Table, WORD};

/// A product of `rows` rows of `segments` segments of `depth` floats with as many codes of `columns` columns.
struct Product {
    codes: Codes,
    rows: usize,
    segments: usize,
    depth: usize,
    columns: usize,
    /// `[rows, segments, depth]`.
    x: Vec<f32>,
    /// `[segments, depth, columns]`.
    bits: Vec<bool>,
}

impl Product {
    fn new(random: &mut Random, [rows, segments, depth, columns]: [usize; 4], float: fn(&mut Random) -> f32) -> Self {
        let x = (0..rows * segments * depth).map(|_| float(random)).collect();
        let bits = (0..segments * depth * columns).map(|_| random.below(2) == 1).collect();
        Self { codes: random.pick(&[Codes::Sign, Codes::Step]), rows, segments, depth, columns, x, bits }
    }

    /// What the kernel makes of it, added to `start`. Rows of C are `stride` apart and lie backwards, to see that they go where they should.
    fn run(&self, kernel: &'static Kernel, start: &[f32], stride: usize, accumulate: bool) -> Vec<f32> {
        let gemm = LutGemm::with_kernel(kernel, self.codes).unwrap();
        let tables_each = self.depth.div_ceil(FLOATS);
        let mut tables = vec![[f32::NAN; 16]; self.rows * self.segments * tables_each];
        for (x, tables) in self.x.chunks_exact(self.depth).zip(tables.chunks_exact_mut(tables_each)) {
            let mut padded = x.to_vec();
            padded.resize(tables_each * FLOATS, 0.0);
            gemm.tables(&padded, Fours::Neighbours, tables);
        }
        let words = self.depth.div_ceil(WORD);
        let mut laid = Vec::new();
        for panel in 0..self.columns.div_ceil(PANEL) {
            for word in 0..self.segments * words {
                let (segment, first) = (word / words, word % words * WORD);
                let bit = |k: usize, lane: usize| {
                    let (k, column) = (first + k, panel * PANEL + lane);
                    k < self.depth
                        && column < self.columns
                        && self.bits[(segment * self.depth + k) * self.columns + column]
                };
                let rows = std::array::from_fn(|k| (0..PANEL).map(|lane| u64::from(bit(k, lane)) << lane).sum());
                let mut lanes = [0; PANEL];
                gemm.lay(&rows, &mut lanes);
                laid.extend(lanes);
            }
        }
        let rows: Vec<Row> = (0..self.rows)
            .map(|i| Row { tables: i * self.segments * tables_each, out: (self.rows - 1 - i) * stride })
            .collect();
        let segments: Vec<usize> = (0..self.segments).map(|segment| segment * tables_each).collect();
        let mut c = start.to_vec();
        gemm.run(Job {
            tables: &tables,
            rows: &rows,
            segments: &segments,
            depth: tables_each,
            laid: &laid,
            columns: self.columns,
            c: &mut c,
            accumulate,
        });
        c
    }

    /// The same in integers.
    fn oracle(&self, start: &[f32], stride: usize, accumulate: bool) -> Vec<f32> {
        let mut c = start.to_vec();
        let depth = self.segments * self.depth;
        for row in 0..self.rows {
            for column in 0..self.columns {
                let c = &mut c[(self.rows - 1 - row) * stride + column];
                let terms = (0..depth).map(|k| {
                    self.x[row * depth + k] as i64 * i64::from(self.codes.value(self.bits[k * self.columns + column]))
                });
                *c = (terms.sum::<i64>() + if accumulate { *c as i64 } else { 0 }) as f32;
            }
        }
        c
    }
}

fn whole(random: &mut Random) -> f32 {
    random.below(2001) as f32 - 1000.0
}

fn available() -> Vec<&'static Kernel> {
    let (available, skipped): (Vec<&Kernel>, Vec<&Kernel>) = KERNELS.iter().partition(|kernel| kernel.isa().is_some());
    for kernel in skipped {
        println!("skipped {}: this machine lacks {}", kernel.name(), kernel.isa_name());
    }
    available
}

fn check(random: &mut Random, shape: [usize; 4]) {
    for accumulate in [false, true] {
        let stride = shape[3] + random.below(3);
        let product = Product::new(random, shape, whole);
        let start: Vec<f32> = (0..shape[0] * stride).map(|_| whole(random)).collect();
        let expected = product.oracle(&start, stride, accumulate);
        for kernel in available() {
            let c = product.run(kernel, &start, stride, accumulate);
            assert_eq!(c, expected, "{} {shape:?} {:?} accumulate {accumulate}", kernel.name(), product.codes);
        }
        let product = Product::new(random, shape, Random::float);
        let plain = product.run(KERNELS.last().unwrap(), &start, stride, accumulate);
        for kernel in available() {
            let c = product.run(kernel, &start, stride, accumulate);
            let same = c.iter().zip(&plain).all(|(c, e)| c.to_bits() == e.to_bits());
            assert!(same, "{} {shape:?} {:?} accumulate {accumulate}", kernel.name(), product.codes);
        }
    }
}

#[test]
fn random_shapes_are_exact_and_bitwise_equal_on_every_kernel() {
    let mut random = Random::new(1);
    for _ in 0..60 {
        let shape = [1 + random.below(14), 1 + random.below(4), 1 + random.below(80), 1 + random.below(150)];
        check(&mut random, shape);
    }
}

#[test]
fn every_tail_is_exact_on_every_kernel() {
    let mut random = Random::new(2);
    for rows in 1..14 {
        for columns in [1, 15, 16, 17, 48, 63, 64, 65, 128] {
            check(&mut random, [rows, 2, 5, columns]);
        }
    }
    for depth in [1, 3, 4, 5, 31, 32, 33, 64, 100] {
        check(&mut random, [7, 3, depth, 70]);
    }
}

#[test]
fn tables_are_made_of_columns() {
    let mut random = Random::new(3);
    for kernel in available() {
        let gemm = LutGemm::with_kernel(kernel, Codes::Sign).unwrap();
        let x = random.floats(7 * 5 + 2);
        let mut tables = [Table::default(); 7];
        gemm.tables(&x, Fours::Columns { columns: 2, stride: 5, each: 4 }, &mut tables);
        for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let table = tables[i + 4 * j];
            let [a, b, c, d] = std::array::from_fn(|k| x[5 * (4 * i + k) + j]);
            let (sum, some) = (a + b + c + d, -a + b - c + d);
            assert_eq!([table[0], table[5], table[15]], [sum, some, -sum], "{}", kernel.name());
        }
        assert_eq!(tables[2..4], [Table::default(); 2], "{}", kernel.name());
    }
}
