//! The border of ±1 codes padded with 0.

use super::{Dot, Job};

/// Takes the sum of the weights of each outside tap away from the outputs that gathered it as +1.
#[inline(always)]
pub(super) fn correct<T: Dot>(job: &mut Job<'_, T>) {
    let shape = job.shape;
    let (out_w, channels) = (shape.out_size[1], shape.geometry.all_out_channels());
    let columns = shape.geometry.kernel[1];
    for (row, out) in job.rows.clone().zip(job.out.chunks_exact_mut(out_w * channels)) {
        for (tap, sums) in job.laid.tap_sums.chunks_exact(channels).take(shape.geometry.taps()).enumerate() {
            let inside = &shape.inside_columns[tap % columns];
            let inside = if shape.inside_rows[tap / columns].contains(&row) { inside.clone() } else { 0..0 };
            for x in (0..inside.start).chain(inside.end..out_w) {
                for (out, sum) in out[x * channels..(x + 1) * channels].iter_mut().zip(sums) {
                    out.subtract(*sum);
                }
            }
        }
    }
}
