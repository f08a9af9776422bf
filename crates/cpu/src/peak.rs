//! What kernels do at best on this machine: everything in the nearest cache, nothing around it.

use std::thread;
use std::time::{Duration, Instant};

use binary_nets_bits::Codes;
use binary_nets_kernels::{
    BinaryConv2d, Conv2dGeometry, Gemm, ImageConv2d, KernelError, Matrix, binary_conv2d, gemm, image_conv2d,
};

/// A time slot; the best of [`SLOTS`] counts.
const SLOT: Duration = Duration::from_millis(1);

/// How many slots there are.
const SLOTS: usize = 16;

/// Pixels of the outputs, a multiple of what any tile takes.
const PIXELS: usize = 168;

/// Some calls of a kernel on buffers of their own.
type Call = Box<dyn FnMut() + Send>;

/// The multiply-adds a second of the kernel of that name, of as many threads together: their sum in the best slot, measured now. `None` for what is no convolution or product.
pub fn peak(name: &str, threads: usize) -> Option<f64> {
    if let Some(kernel) = binary_conv2d::KERNELS.iter().find(|k| [k.id.name(), k.threshold_name()].contains(&name)) {
        // Long sums with few weights, and shorter ones with more: what is best depends on the size of the cache.
        let shapes = [(512, 64), (1024, 128)];
        let rates = shapes.map(|(inputs, outputs)| rate(threads, || binary(kernel, inputs, outputs)));
        return rates.into_iter().flatten().reduce(f64::max);
    }
    if let Some(kernel) = image_conv2d::KERNELS.iter().find(|kernel| kernel.id.name() == name) {
        return rate(threads, || image(kernel));
    }
    let kernel = gemm::KERNELS.iter().find(|kernel| kernel.id.name() == name)?;
    rate(threads, || product(kernel))
}

/// What calls of so many multiply-adds reach on threads that all run at the same time.
fn rate(threads: usize, call: impl Fn() -> Result<(usize, Call), KernelError>) -> Option<f64> {
    let calls = (0..threads).map(|_| call()).collect::<Result<Vec<_>, _>>().ok()?;
    let once: usize = calls.iter().map(|(macs, _)| macs).sum();
    let start = Instant::now();
    let done = thread::scope(|scope| {
        let lane = |(macs, mut call): (usize, Call)| {
            let work = move || {
                let mut done = [0_usize; SLOTS];
                loop {
                    call();
                    let slot = start.elapsed().div_duration_f64(SLOT) as usize;
                    match done.get_mut(slot) {
                        Some(done) => *done += macs,
                        None => return done,
                    }
                }
            };
            thread::Builder::new().name("peak".to_owned()).spawn_scoped(scope, work).ok()
        };
        let lanes: Vec<_> = calls.into_iter().map(lane).collect();
        lanes.into_iter().map(|lane| lane?.join().ok()).collect::<Option<Vec<_>>>()
    })?;
    let slots = (0..SLOTS).map(|slot| done.iter().map(|lane| lane[slot]).sum::<usize>());
    Some(match slots.max() {
        Some(most) if most > 0 => most as f64 / SLOT.as_secs_f64(),
        // One call took longer than all slots.
        _ => once as f64 / start.elapsed().as_secs_f64(),
    })
}

/// A convolution of one row of pixels with a row of taps.
fn row(taps: usize, in_channels: usize, out_channels: usize) -> Conv2dGeometry {
    Conv2dGeometry {
        in_size: [1, PIXELS + taps - 1],
        kernel: [1, taps],
        stride: [1; 2],
        padding: [0; 2],
        dilation: [1; 2],
        groups: 1,
        in_channels,
        out_channels,
    }
}

fn binary(kernel: &'static binary_conv2d::Kernel, inputs: usize, outputs: usize) -> Result<(usize, Call), KernelError> {
    let conv = BinaryConv2d::with_kernel(row(1, inputs, outputs), Codes::Sign, 1, kernel)?;
    let words = |count: usize| (0..count as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect::<Vec<_>>();
    let (image, mut laid) = (words(conv.image_layout().len()), vec![0; conv.laid_weight_words()]);
    conv.lay_weights(&words(conv.weight_layout().len()), &mut laid);
    let (mut scratch, mut out) = (vec![0; conv.scratch_words()], vec![0_i16; PIXELS * outputs]);
    let macs = conv.geometry().macs();
    Ok((macs, Box::new(move || conv.rows(&image, &laid, 0..1, &mut scratch, &mut out))))
}

fn image(kernel: &'static image_conv2d::Kernel) -> Result<(usize, Call), KernelError> {
    let geometry = row(9, 16, 64);
    // Weights that every kernel takes.
    let largest = 127;
    let conv = ImageConv2d::with_kernel(geometry.clone(), largest, kernel)?;
    let image: Vec<u8> = (0..geometry.in_size[1] * geometry.in_channels).map(|i| (i * 37) as u8).collect();
    let weights: Vec<i16> = (0..conv.weight_len()).map(|i| (i * 97 % 255) as i16 - largest).collect();
    let mut laid = vec![0; conv.laid_weight_len()];
    conv.lay_weights(&weights, &mut laid);
    let (mut scratch, mut out) = (vec![0; conv.scratch_len()], vec![0_i32; PIXELS * geometry.out_channels]);
    Ok((geometry.macs(), Box::new(move || conv.rows(&image, &laid, 0..1, &mut scratch, &mut out))))
}

fn product(kernel: &'static gemm::Kernel) -> Result<(usize, Call), KernelError> {
    let (m, n, k) = (24, 64, 64);
    let gemm = Gemm::with_kernel(kernel)?;
    let floats = |count: usize| (0..count).map(|i| ((i * 37) % 101) as f32 / 101.0).collect::<Vec<f32>>();
    let (a, b) = (floats(m * k), floats(k * n));
    let (mut packed, mut c) = (vec![0.0; gemm.packed_b_len(k, n)], vec![0.0; m * n]);
    gemm.pack_b(k, n, Matrix::row_major(&b, n), &mut packed);
    Ok((m * n * k, Box::new(move || gemm.run((m, n, k), Matrix::row_major(&a, k), &packed, &mut c, n, false))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_of_this_machine_has_a_peak_and_nothing_else_has() {
        let binary = binary_conv2d::KERNELS.iter().map(|kernel| kernel.id);
        let image = image_conv2d::KERNELS.iter().map(|kernel| kernel.id);
        let product = gemm::KERNELS.iter().map(|kernel| kernel.id);
        for id in binary.chain(image).chain(product).filter(|id| id.isa().is_some()) {
            let name = id.name();
            let peak = peak(name, 1).unwrap();
            println!("{name}: {:.1} GMAC/s", peak / 1e9);
            assert!(peak > 1e6, "{name}: {peak}");
        }
        assert!(peak("binary_conv2d_2x2_scalar_threshold", 3).is_some());
        assert_eq!(peak("scalar", 1), None);
    }
}
