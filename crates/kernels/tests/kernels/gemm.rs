//! Every listed kernel that this machine can run, bitwise against one chain of fused multiply-adds per element.

use crate::random::Random;
use binary_nets_kernels::{
    Gemm, Matrix,
    gemm::{KERNELS, Kernel},
    naive,
};

fn available() -> Vec<&'static Kernel> {
    let (available, skipped): (Vec<&Kernel>, Vec<&Kernel>) =
        KERNELS.iter().partition(|kernel| kernel.id.isa().is_some());
    for kernel in skipped {
        println!("skipped {}: this machine lacks {}", kernel.id.name(), kernel.id.isa_name());
    }
    available
}

/// Data and strides of a `rows × columns` view: row-major, transposed, or both strides above 1.
fn view(random: &mut Random, rows: usize, columns: usize) -> (Vec<f32>, usize, usize) {
    let gap = random.below(3);
    let (row_stride, column_stride) = match random.below(3) {
        0 => (columns + gap, 1),
        1 => (1, rows + gap),
        _ => (2 * columns + gap, 2),
    };
    let last = (rows.max(1) - 1) * row_stride + (columns.max(1) - 1) * column_stride;
    (random.floats(last + 1), row_stride, column_stride)
}

fn check(random: &mut Random, m: usize, n: usize, k: usize) {
    let (a, row_stride, column_stride) = view(random, m, k);
    let a = Matrix { data: &a, row_stride, column_stride };
    let (b, row_stride, column_stride) = view(random, k, n);
    let b = Matrix { data: &b, row_stride, column_stride };
    let c_stride = n + random.below(4);
    let start = random.floats(m * c_stride);
    for accumulate in [false, true] {
        let mut expected = start.clone();
        naive::gemm((m, n, k), a, b, &mut expected, c_stride, accumulate);
        for kernel in available() {
            let gemm = Gemm::with_kernel(kernel).unwrap();
            let mut packed = vec![f32::NAN; gemm.packed_b_len(k, n)];
            gemm.pack_b(k, n, b, &mut packed);
            let mut c = start.clone();
            // Two parts, as two threads would.
            let split = m / 2;
            let (upper, lower) = c.split_at_mut(split * c_stride);
            gemm.run((split, n, k), a, &packed, upper, c_stride, accumulate);
            let a_lower = Matrix { data: a.data.get(split * a.row_stride..).unwrap_or(&[]), ..a };
            gemm.run((m - split, n, k), a_lower, &packed, lower, c_stride, accumulate);
            let same = c.iter().zip(&expected).all(|(c, e)| c.to_bits() == e.to_bits());
            assert!(same, "{} {m}×{n}×{k} accumulate {accumulate}", kernel.id.name());
        }
    }
}

#[test]
fn random_shapes_are_bitwise_equal_on_every_kernel() {
    let mut random = Random::new(1);
    for _ in 0..300 {
        let (m, n, k) = (random.below(20), random.below(150), random.below(70));
        check(&mut random, m, n, k);
    }
}

#[test]
fn every_tail_is_bitwise_equal_on_every_kernel() {
    let mut random = Random::new(2);
    for m in 0..14 {
        for n in [0, 1, 15, 16, 17, 63, 64, 65, 128] {
            check(&mut random, m, n, 5);
        }
    }
}

#[test]
fn the_chain_goes_on_over_blocks_of_k() {
    let mut random = Random::new(3);
    for k in [511, 512, 513, 1024, 1500] {
        check(&mut random, 13, 70, k);
    }
}

/// |error| ≤ k·eps·Σ|a·b|: k rounded additions, each of a partial sum that Σ|a·b| bounds.
#[test]
fn sums_are_close_to_f64() {
    let mut random = Random::new(4);
    let (m, n, k) = (7, 9, 300);
    let (a, b) = (random.floats(m * k), random.floats(k * n));
    for kernel in available() {
        let gemm = Gemm::with_kernel(kernel).unwrap();
        let mut packed = vec![0.0; gemm.packed_b_len(k, n)];
        gemm.pack_b(k, n, Matrix::row_major(&b, n), &mut packed);
        let mut c = vec![0.0; m * n];
        gemm.run((m, n, k), Matrix::row_major(&a, k), &packed, &mut c, n, false);
        for i in 0..m {
            for j in 0..n {
                let product = |k_: usize| f64::from(a[i * k + k_]) * f64::from(b[k_ * n + j]);
                let exact: f64 = (0..k).map(product).sum();
                let magnitude: f64 = (0..k).map(|k| product(k).abs()).sum();
                let error = (f64::from(c[i * n + j]) - exact).abs();
                assert!(error <= k as f64 * f64::from(f32::EPSILON) * magnitude, "{} {i} {j}", kernel.id.name());
            }
        }
    }
}
