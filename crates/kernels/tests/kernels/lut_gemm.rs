//! Every listed kernel that this machine can run against sums of integers.

use crate::random::Random;
use binary_nets_bits::Codes;
use binary_nets_kernels::LutGemm;
use binary_nets_kernels::lut_gemm::{Job, KERNELS, Kernel, Order, PANEL, Row, Table};

/// A product of `rows` rows of `segments` segments of `depth` floats with as many codes of `columns` columns.
struct Product {
    codes: Codes,
    scale: f32,
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
    fn new(random: &mut Random, [rows, segments, depth, columns]: [usize; 4]) -> Self {
        let x = (0..rows * segments * depth).map(|_| whole(random)).collect();
        let bits = (0..segments * depth * columns).map(|_| random.below(2) == 1).collect();
        Self { codes: random.pick(&[Codes::Sign, Codes::Step]), scale: 1.0, rows, segments, depth, columns, x, bits }
    }

    /// What the kernel makes of it, added to `start`. Rows of C are `stride` apart and lie backwards, to see that they go where they should.
    fn run(&self, kernel: &'static Kernel, start: &[f32], stride: usize, accumulate: bool) -> Vec<f32> {
        let gemm = LutGemm::with_kernel(kernel, self.codes).unwrap();
        let tables_each = self.depth.div_ceil(gemm.floats());
        let mut tables = vec![[f32::NAN; 16]; self.rows * self.segments * tables_each];
        for (x, tables) in self.x.chunks_exact(self.depth).zip(tables.chunks_exact_mut(tables_each)) {
            let mut padded = x.to_vec();
            padded.resize(tables_each * gemm.floats(), 0.0);
            gemm.tables(&padded, Order::Neighbours, tables);
        }
        let segment_len = gemm.segment_len(tables_each);
        let mut laid = vec![0; self.columns.div_ceil(PANEL) * self.segments * segment_len];
        for (i, laid) in laid.chunks_exact_mut(segment_len).enumerate() {
            let (panel, segment) = (i / self.segments, i % self.segments);
            for (first, laid) in (0..).step_by(gemm.codes()).zip(laid.chunks_exact_mut(gemm.laid_len())) {
                let bit = |k: usize, lane: usize| {
                    let (k, column) = (first + k, panel * PANEL + lane);
                    k < self.depth
                        && column < self.columns
                        && self.bits[(segment * self.depth + k) * self.columns + column]
                };
                let rows = std::array::from_fn(|k| (0..PANEL).map(|lane| u64::from(bit(k, lane)) << lane).sum());
                gemm.lay(&rows, laid);
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
            scale: self.scale,
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
                let product = self.scale * terms.sum::<i64>() as f32;
                *c = if accumulate { *c + product } else { product };
            }
        }
        c
    }
}

/// From −127 to 127, the bounds often.
fn whole(random: &mut Random) -> f32 {
    let any = random.below(255) as f32 - 127.0;
    random.pick(&[any, any, 127.0, -127.0])
}

fn available() -> Vec<&'static Kernel> {
    let (available, skipped): (Vec<&Kernel>, Vec<&Kernel>) =
        KERNELS.iter().partition(|kernel| kernel.id.isa().is_some());
    for kernel in skipped {
        println!("skipped {}: this machine lacks {}", kernel.id.name(), kernel.id.isa_name());
    }
    available
}

fn check(random: &mut Random, shape: [usize; 4]) {
    for accumulate in [false, true] {
        let stride = shape[3] + random.below(3);
        let start = random.floats(shape[0] * stride);
        let product = Product { scale: random.float(), ..Product::new(random, shape) };
        let expected = product.oracle(&start, stride, accumulate);
        for kernel in available() {
            let c = product.run(kernel, &start, stride, accumulate);
            assert_eq!(c, expected, "{} {shape:?} {:?} accumulate {accumulate}", kernel.id.name(), product.codes);
        }
    }
}

#[test]
fn random_shapes_are_exact_on_every_kernel() {
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
    for depth in [1, 3, 4, 5, 15, 16, 31, 32, 33, 64, 100, 700] {
        check(&mut random, [9, 3, depth, 70]);
    }
}

/// The largest sums of all, in both directions.
#[test]
fn the_largest_sums_are_exact() {
    for (float, codes) in [(127.0, Codes::Sign), (-127.0, Codes::Sign), (127.0, Codes::Step), (-127.0, Codes::Step)] {
        let [rows, segments, depth, columns] = [8, 9, 64, 64];
        let (x, bits) = (vec![float; rows * segments * depth], vec![true; segments * depth * columns]);
        let product = Product { codes, scale: 1.0, rows, segments, depth, columns, x, bits };
        let start = vec![0.0; rows * columns];
        for kernel in available() {
            let c = product.run(kernel, &start, columns, false);
            assert_eq!(c, product.oracle(&start, columns, false), "{} {float} {codes:?}", kernel.id.name());
        }
    }
}

#[test]
fn columns_become_tables_as_neighbours_do() {
    let mut random = Random::new(3);
    for kernel in available() {
        let gemm = LutGemm::with_kernel(kernel, Codes::Sign).unwrap();
        let (k, stride) = (gemm.floats(), 70);
        let x: Vec<f32> = (0..(2 * k - 1) * stride + 66).map(|_| whole(&mut random)).collect();
        let mut tables = vec![Table::default(); 66 * 3];
        gemm.tables(&x, Order::Columns { columns: 66, stride, each: 3 }, &mut tables);
        for (j, tables) in tables.chunks_exact(3).enumerate() {
            let column: Vec<f32> = x[j..].iter().copied().step_by(stride).take(2 * k).collect();
            let mut expected = [Table::default(); 2];
            gemm.tables(&column, Order::Neighbours, &mut expected);
            assert_eq!(bits(&tables[..2]), bits(&expected), "{}", kernel.id.name());
            assert_eq!(tables[2], Table::default(), "{}", kernel.id.name());
        }
    }
}

/// Tables may hold whole numbers, which are no floats.
fn bits(tables: &[Table]) -> Vec<u32> {
    tables.as_flattened().iter().map(|x| x.to_bits()).collect()
}
