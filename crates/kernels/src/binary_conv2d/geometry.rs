use crate::KernelError;

/// The geometry of a convolution of one image. Pairs are (rows, columns).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dGeometry {
    /// Input pixels.
    pub in_size: [usize; 2],
    /// Taps.
    pub kernel: [usize; 2],
    /// Input pixels from one output pixel to the next.
    pub stride: [usize; 2],
    /// Pixels added on each side.
    pub padding: [usize; 2],
    /// Input pixels from one tap to the next.
    pub dilation: [usize; 2],
    /// Groups, each a convolution of its own.
    pub groups: usize,
    /// Input channels of one group.
    pub in_channels: usize,
    /// Output channels of one group.
    pub out_channels: usize,
}

impl Conv2dGeometry {
    /// Output pixels.
    ///
    /// # Panics
    /// If the geometry is not [valid](Self::validate).
    pub fn out_size(&self) -> [usize; 2] {
        [0, 1].map(|axis| (self.padded(axis) - self.span(axis)) / self.stride[axis] + 1)
    }

    /// Taps of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Output channels of all groups.
    pub fn all_out_channels(&self) -> usize {
        self.groups * self.out_channels
    }

    /// Multiply-accumulates of one image.
    pub fn macs(&self) -> usize {
        let [out_h, out_w] = self.out_size();
        out_h * out_w * self.all_out_channels() * self.taps() * self.in_channels
    }

    /// Whether every size is at least 1 and the dilated kernel fits into the padded input.
    pub fn validate(&self) -> Result<(), KernelError> {
        let sizes = [
            ("in_size", self.in_size[0].min(self.in_size[1])),
            ("kernel", self.kernel[0].min(self.kernel[1])),
            ("stride", self.stride[0].min(self.stride[1])),
            ("dilation", self.dilation[0].min(self.dilation[1])),
            ("groups", self.groups),
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
        ];
        if let Some((field, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return Err(KernelError::Zero { field });
        }
        for (axis, name) in [(0, "rows"), (1, "columns")] {
            let (span, padded) = (self.span(axis), self.padded(axis));
            if span > padded {
                return Err(KernelError::KernelTooLarge { axis: name, span, padded });
            }
        }
        Ok(())
    }

    /// The outputs along `axis` whose tap `tap` lies inside the input: a range, and what is outside lies before and after it.
    pub(crate) fn inside(&self, axis: usize, tap: usize) -> std::ops::Range<usize> {
        let outputs = self.out_size()[axis];
        let offset = tap * self.dilation[axis];
        let before = |position: usize| {
            // Outputs o with o · stride + offset < position + padding.
            (position + self.padding[axis]).saturating_sub(offset).div_ceil(self.stride[axis]).min(outputs)
        };
        before(0)..before(self.in_size[axis])
    }

    /// Input pixels from the first tap along `axis` to the last.
    pub(crate) fn span(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    fn padded(&self, axis: usize) -> usize {
        self.in_size[axis] + 2 * self.padding[axis]
    }
}
