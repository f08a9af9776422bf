//! Ternary 2-D convolution: codes under weights +1, 0 and −1, by the binary convolution.
//!
//! The weights are two planes of bits, which say where they are +1 and where −1. Read as signs, a plane of bits p has the weights 1 − 2p. So with d±
//! its binary convolution and S that of bits 0, the sum of the window, the sum of the codes under the plane is `(S − d±)/2`: exact for ±1 and 0/1 codes
//! and whatever stands outside the image. Both planes and S are one binary convolution with `2·out_channels + 1` channels in each group.

use crate::{BinaryConv2d, Conv2dGeometry, Isa, KernelError, binary_conv2d::Dot};
use binary_nets_bits::{BitLayout, Codes, words};
use std::ops::Range;

/// A ternary convolution of one image. It is used as [`BinaryConv2d`] is.
#[derive(Clone, Debug)]
pub struct TernaryConv2d {
    geometry: Conv2dGeometry,
    isa: Isa,
    /// With the positive channels, the negative ones and the sum of the window in each group.
    conv: BinaryConv2d,
    /// The weights whose convolution is that sum: an output channel of bits 0.
    zeros: Vec<u64>,
}

impl TernaryConv2d {
    /// Chooses a kernel of `isa`; `geometry.out_channels` are those of the ternary convolution.
    pub fn new(geometry: Conv2dGeometry, codes: Codes, pad_value: u8, isa: Isa) -> Result<Self, KernelError> {
        geometry.validate()?;
        let all = Conv2dGeometry { out_channels: 2 * geometry.out_channels + 1, ..geometry.clone() };
        let conv = BinaryConv2d::new(all, codes, pad_value, isa)?;
        let zeros = vec![0; geometry.taps() * words(geometry.in_channels)];
        Ok(Self { geometry, isa, conv, zeros })
    }

    /// The geometry it was made for.
    pub fn geometry(&self) -> &Conv2dGeometry {
        &self.geometry
    }

    /// Name of the chosen kernel.
    pub fn kernel_name(&self) -> &'static str {
        self.conv.kernel_name()
    }

    /// The largest |sum|: taps · channels.
    pub fn dot_bound(&self) -> usize {
        self.conv.dot_bound()
    }

    /// The layout of one packed image, `[in_h · in_w, groups, words]`.
    pub fn image_layout(&self) -> BitLayout {
        self.conv.image_layout()
    }

    /// The layout of a plane, `[groups · out_channels, kh, kw, words]`.
    pub fn plane_layout(&self) -> BitLayout {
        let g = &self.geometry;
        BitLayout { rows: g.all_out_channels() * g.taps(), groups: 1, channels: g.in_channels }
    }

    /// Words of the laid planes.
    pub fn laid_weight_words(&self) -> usize {
        self.conv.laid_weight_words()
    }

    /// Words of scratch that one thread needs.
    pub fn scratch_words(&self) -> usize {
        self.conv.scratch_words()
    }

    /// Sums of one output pixel: for each group the positive ones, the negative ones, and that of the window.
    pub fn pixel_sums(&self) -> usize {
        self.conv.geometry().all_out_channels()
    }

    /// Lays the planes as the kernel reads them.
    ///
    /// # Panics
    /// If a slice does not have the length of [`plane_layout`](Self::plane_layout) or [`laid_weight_words`](Self::laid_weight_words).
    pub fn lay_weights(&self, positive: &[u64], negative: &[u64], laid: &mut [u64]) {
        for plane in [positive, negative] {
            assert_eq!(plane.len(), self.plane_layout().len(), "length of a packed plane");
        }
        let group = self.geometry.out_channels * self.zeros.len();
        let groups = positive.chunks_exact(group).zip(negative.chunks_exact(group));
        let outputs = groups.flat_map(|(positive, negative)| [positive, negative, &self.zeros]);
        self.conv.lay_outputs(outputs.flat_map(|outputs| outputs.chunks_exact(self.zeros.len())), laid);
    }

    /// The sums of output rows `rows` of `image`, as `sums: [rows, out_w, groups, 2 · out_channels + 1]`.
    ///
    /// # Panics
    /// As [`BinaryConv2d::rows`].
    pub fn rows<T: Dot>(&self, image: &[u64], laid: &[u64], rows: Range<usize>, scratch: &mut [u64], sums: &mut [T]) {
        self.conv.rows(image, laid, rows, scratch, sums);
        self.isa.vectorize(
            #[inline(always)]
            || {
                for sums in sums.chunks_exact_mut(2 * self.geometry.out_channels + 1) {
                    if let Some((window, planes)) = sums.split_last_mut() {
                        for dot in planes {
                            *dot = dot.half_below(*window);
                        }
                    }
                }
            },
        );
    }
}
