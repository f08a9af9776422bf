//! Speed of every listed kernel that this machine can run: `cargo bench -p binary-nets-kernels`, one line per kernel and shape.
//!
//! `-- --json` prints one JSON object per line; other arguments keep the lines that contain all of them. Times are the best of several runs with warm caches, on one thread; pin it (`taskset -c 1`) for steady numbers.

use binary_nets_bits::{BitLayout, Codes};
use binary_nets_kernels::image_conv2d::Sum;
use binary_nets_kernels::stack_lut::{Lane, Pair};
use binary_nets_kernels::{
    BinaryConv2d, Conv2dGeometry, Gemm, ImageConv2d, Isa, Matrix, StackLut, binary_conv2d, gemm, image_conv2d,
    pack_codes, pack_weights, stack_lut,
};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

struct Report {
    json: bool,
    filters: Vec<String>,
}

impl Report {
    /// `work`: multiply-accumulates or elements of one call.
    fn line(&self, kernel: &str, shape: &str, work: usize, unit: &str, run: impl FnMut()) {
        self.choice(kernel, shape, false, work, unit, run);
    }

    /// The same of a kernel that is perhaps `chosen` where none is asked for.
    fn choice(&self, kernel: &str, shape: &str, chosen: bool, work: usize, unit: &str, run: impl FnMut()) {
        let line = format!("{kernel} {shape}");
        if !self.filters.iter().all(|filter| line.contains(filter.as_str())) {
            return;
        }
        let seconds = best(run);
        let rate = work as f64 / seconds / 1e9;
        let ms = seconds * 1e3;
        if self.json {
            println!(
                r#"{{"kernel":"{kernel}","shape":"{shape}","ms":{ms:.5},"rate":{rate:.2},"unit":"{unit}","chosen":{chosen}}}"#
            );
        } else {
            println!("{kernel:28} {shape:32} {ms:9.4} ms {rate:9.1} {unit}");
        }
    }
}

/// The shortest of many calls, in seconds.
fn best(mut run: impl FnMut()) -> f64 {
    let (start, mut best) = (Instant::now(), Duration::MAX);
    let mut calls = 0;
    while calls < 5 || start.elapsed() < Duration::from_millis(150) {
        let call = Instant::now();
        run();
        best = best.min(call.elapsed());
        calls += 1;
    }
    best.as_secs_f64()
}

/// The `len` words from the first multiple of 64 bytes on, where a program places laid weights too.
fn aligned(words: &mut [u64], len: usize) -> &mut [u64] {
    let start = words.as_ptr().align_offset(64);
    &mut words[start..start + len]
}

/// Words without structure (splitmix64).
fn words(count: usize) -> Vec<u64> {
    (0..count as u64)
        .map(|i| {
            let mut z = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        })
        .collect()
}

fn floats(count: usize) -> Vec<f32> {
    words(count).into_iter().map(|word| (word >> 40) as f32 / 8_388_608.0 - 1.0).collect()
}

/// Random bits with zero tails.
fn bits(layout: BitLayout) -> Vec<u64> {
    let mut packed = words(layout.len());
    for (i, word) in packed.iter_mut().enumerate() {
        *word &= layout.valid_bits(i % layout.words());
    }
    packed
}

fn bench_binary_conv2d(report: &Report) {
    // Channels in, channels out, input size, stride.
    let shapes = [
        (16, 16, 28, 1),
        (32, 32, 28, 1),
        (64, 64, 56, 1),
        (128, 128, 28, 1),
        (256, 256, 14, 1),
        (512, 512, 7, 1),
        (64, 128, 56, 2),
        (256, 512, 14, 2),
    ];
    for kernel in binary_conv2d::KERNELS {
        let Some(isa) = kernel.id.isa() else { continue };
        for (in_channels, out_channels, size, stride) in shapes {
            let geometry = Conv2dGeometry {
                in_size: [size; 2],
                kernel: [3; 2],
                stride: [stride; 2],
                padding: [1; 2],
                dilation: [1; 2],
                groups: 1,
                in_channels,
                out_channels,
            };
            for (codes, pad_value) in [(Codes::Sign, 1), (Codes::Sign, 0)] {
                if pad_value == 0 && in_channels != 64 {
                    continue;
                }
                let conv = BinaryConv2d::with_kernel(geometry.clone(), codes, pad_value, kernel).expect("listed");
                let (image, weights) = (bits(conv.image_layout()), bits(conv.weight_layout()));
                let mut laid = vec![0; conv.laid_weight_words() + 7];
                let laid = aligned(&mut laid, conv.laid_weight_words());
                conv.lay_weights(&weights, laid);
                let [out_h, out_w] = geometry.out_size();
                let mut scratch = vec![0; conv.scratch_words()];
                let mut out = vec![0i16; out_h * out_w * out_channels];
                let shape = format!("3x3 {in_channels}>{out_channels}@{out_h} pad {pad_value}");
                let chosen = BinaryConv2d::new(geometry.clone(), codes, pad_value, isa).expect("a kernel for all");
                let chosen = chosen.kernel_name() == kernel.id.name();
                report.choice(kernel.id.name(), &shape, chosen, geometry.macs(), "GMAC/s", || {
                    conv.rows(&image, laid, 0..out_h, &mut scratch, black_box(&mut out));
                });
                if pad_value == 1 {
                    let shape = format!("lay {in_channels}>{out_channels}");
                    report.line(kernel.id.name(), &shape, weights.len() * 8, "GB/s", || {
                        conv.lay_weights(&weights, black_box(laid));
                    });
                }
            }
        }
    }
}

fn bench_image_conv2d(report: &Report) {
    // Channels in, channels out, input size, kernel, stride.
    for (in_channels, out_channels, size, kernel_size, stride) in [
        (3, 64, 224, 7, 2),
        (1, 16, 28, 3, 1),
        (3, 32, 32, 3, 1),
        (3, 64, 32, 3, 1),
        (64, 128, 28, 1, 1),
        (128, 256, 14, 1, 1),
        (256, 512, 7, 1, 1),
        (512, 1000, 1, 1, 1),
    ] {
        let geometry = Conv2dGeometry {
            in_size: [size; 2],
            kernel: [kernel_size; 2],
            stride: [stride; 2],
            padding: [kernel_size / 2; 2],
            dilation: [1; 2],
            groups: 1,
            in_channels,
            out_channels,
        };
        for kernel in image_conv2d::KERNELS {
            if kernel.id.isa().is_none() {
                continue;
            }
            let conv = ImageConv2d::with_kernel(geometry.clone(), kernel.largest(), kernel).expect("listed");
            let image: Vec<u8> = words(size * size * in_channels).into_iter().map(|word| word as u8).collect();
            let weights: Vec<i16> =
                words(conv.weight_len()).into_iter().map(|word| word as i16 % kernel.largest()).collect();
            let [out_h, out_w] = geometry.out_size();
            let (mut laid, mut scratch) = (vec![0; conv.laid_weight_len()], vec![0; conv.scratch_len()]);
            conv.lay_weights(&weights, &mut laid);
            let shape = format!("{kernel_size}x{kernel_size} {in_channels}>{out_channels}@{out_h}");
            let (mut narrow, mut wide) = (vec![0_i32; out_h * out_w * out_channels], Vec::new());
            let fits = conv.sum_bound() <= i32::BOUND;
            wide.resize(if fits { 0 } else { narrow.len() }, 0_i64);
            report.line(kernel.id.name(), &shape, geometry.macs(), "GMAC/s", || {
                if fits {
                    conv.rows(&image, &laid, 0..out_h, &mut scratch, black_box(&mut narrow));
                } else {
                    conv.rows(&image, &laid, 0..out_h, &mut scratch, black_box(&mut wide));
                }
            });
        }
    }
}

fn bench_gemm(report: &Report) {
    for kernel in gemm::KERNELS {
        if kernel.id.isa().is_none() {
            continue;
        }
        let gemm = Gemm::with_kernel(kernel).expect("listed");
        for (m, n, k) in [(256, 256, 256), (784, 64, 64), (3136, 64, 576), (196, 256, 2304), (64, 10, 512)] {
            let (a, b) = (floats(m * k), floats(k * n));
            let mut packed = vec![0.0; gemm.packed_b_len(k, n)];
            let mut c = vec![0.0; m * n];
            gemm.pack_b(k, n, Matrix::row_major(&b, n), &mut packed);
            for (name, a) in [("A", Matrix::row_major(&a, k)), ("A^T", Matrix::transposed(&a, m))] {
                report.line(kernel.id.name(), &format!("{m}x{n}x{k} {name}"), m * n * k, "GMAC/s", || {
                    gemm.run((m, n, k), a, &packed, black_box(&mut c), n, false);
                });
            }
            report.line(kernel.id.name(), &format!("pack B {k}x{n}"), k * n * 4, "GB/s", || {
                gemm.pack_b(k, n, Matrix::row_major(&b, n), black_box(&mut packed));
            });
        }
    }
}

fn bench_stack_lut<L: Lane>(report: &Report) {
    use stack_lut::{FOUR, LANES, PANEL, PLACES, TABLES_LEN, Table, WORD};
    for kernel in L::kernels() {
        if kernel.id.isa().is_none() {
            continue;
        }
        let name = kernel.id.name();
        let lut = StackLut::with_kernel(kernel, Codes::Sign).expect("listed");
        let rows: [u64; WORD] = words(WORD).try_into().expect("as many");
        let mut places = [0; PLACES];
        report.line(name, "lay", WORD * PANEL / 8, "GB/s", || {
            lut.lay(black_box(&rows), black_box(&mut places));
        });
        let numbers = floats(2 * LANES * WORD);
        let x: Vec<L> = numbers.as_chunks().0.iter().map(|x| L::of(x.map(|x| (127.0 * x).round()))).collect();
        let mut columns = [[L::default(); LANES]; WORD / FOUR * FOUR];
        let bytes = size_of_val(&columns);
        report.line(name, "columns", bytes, "GB/s", || {
            lut.columns(black_box(&x), WORD, black_box(&mut columns));
        });
        // Where an entry begins in a line of the cache, as scratch memory does.
        let mut room = vec![0_u32; TABLES_LEN + 16];
        let start = room.as_ptr().align_offset(64);
        let tables: &mut [Table<L>] = bytemuck::cast_slice_mut(&mut room[start..][..TABLES_LEN]);
        let bytes = size_of_val(tables);
        for codes in [Codes::Sign, Codes::Step] {
            let lut = StackLut::with_kernel(kernel, codes).expect("listed");
            report.line(name, &format!("tables {codes:?}"), bytes, "GB/s", || {
                lut.tables(black_box(&x), LANES, black_box(tables));
            });
        }
        // Columns: channels of a pixel's gradient, and taps × channels of a weight's.
        for columns in [16_usize, 64, 512, 9 * 64, 9 * 512] {
            let places: Vec<u8> =
                words(columns.div_ceil(PANEL) * PLACES / 8).into_iter().flat_map(u64::to_le_bytes).collect();
            let mut sums = vec![bytemuck::Zeroable::zeroed(); StackLut::<L>::sums_len(columns)];
            // The last table of 64 codes lacks one.
            let shape = format!("{}x{columns}x{PANEL}", L::ROWS);
            report.line(name, &shape, L::ROWS * columns * PANEL, "GMAC/s", || {
                lut.add(tables, black_box(&places), black_box(&mut sums));
            });
            let mut c = vec![0.0; L::ROWS * columns];
            let rows: Vec<usize> = (0..L::ROWS).map(|i| i * columns).collect();
            let (first, second) = rows.split_at(LANES);
            report.line(name, &format!("write {}x{columns}", L::ROWS), 4 * c.len(), "GB/s", || {
                lut.write(black_box(&sums), ([first, second], columns), (1.0, false), black_box(&mut c));
            });
        }
    }
}

fn bench_packers(report: &Report) {
    for isa in Isa::available() {
        for (rows, channels) in [(3136, 64), (784, 16), (196, 256)] {
            let layout = BitLayout { rows, groups: 1, channels };
            let x = floats(rows * channels);
            let mut packed = vec![0; layout.len()];
            let bytes = x.len() * 4;
            let shape = format!("{rows}x{channels}");
            let name = format!("pack_codes_{}", isa.name());
            report.line(&name, &shape, bytes, "GB/s", || {
                pack_codes(isa, Codes::Sign, &x, layout, black_box(&mut packed));
            });
        }
        let name = format!("pack_weights_{}", isa.name());
        for taps in [9, 25] {
            let (outputs, channels) = (256, 256);
            let w = floats(outputs * channels * taps);
            let mut packed = vec![0; BitLayout { rows: outputs * taps, groups: 1, channels }.len()];
            report.line(&name, &format!("{outputs}x{channels}x{taps}"), w.len() * 4, "GB/s", || {
                pack_weights(isa, &w, outputs, channels, taps, black_box(&mut packed));
            });
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let report = Report { json, filters: arguments.into_iter().filter(|argument| argument != "--json").collect() };
    bench_binary_conv2d(&report);
    bench_image_conv2d(&report);
    bench_gemm(&report);
    bench_stack_lut::<f32>(&report);
    bench_stack_lut::<Pair>(&report);
    bench_packers(&report);
}
