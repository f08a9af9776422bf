use thiserror::Error;

/// Why a kernel cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KernelError {
    /// A size that must be at least 1 is 0.
    #[error("{field} must be at least 1")]
    Zero {
        /// The field of the geometry.
        field: &'static str,
    },
    /// The dilated kernel does not fit into the padded input.
    #[error("the kernel spans {span} {axis} but the padded input has {padded}")]
    KernelTooLarge {
        /// `rows` or `columns`.
        axis: &'static str,
        /// Input pixels from the first tap to the last.
        span: usize,
        /// Input pixels, padding included.
        padded: usize,
    },
    /// Groups where there can be but one.
    #[error("a convolution of pixels has one group, got {groups}")]
    Groups {
        /// The groups asked for.
        groups: usize,
    },
    /// Weights that the kernel has no place for.
    #[error("{kernel} takes weights up to {most}, got {largest}")]
    Weights {
        /// Its name.
        kernel: &'static str,
        /// The largest that it takes.
        most: i16,
        /// The largest asked for.
        largest: i16,
    },
    /// A padding value other than 0 and 1.
    #[error("the padding value must be 0 or 1, got {value}")]
    PadValue {
        /// The value asked for.
        value: u8,
    },
    /// The dot products do not fit into 32 bits.
    #[error("dot products of up to {bound} do not fit into 32 bits")]
    DotBound {
        /// Taps times channels.
        bound: usize,
    },
    /// The kernel needs an instruction set that this machine lacks.
    #[error("kernel {kernel} needs {isa}, which this machine lacks")]
    Unavailable {
        /// Name of the kernel.
        kernel: &'static str,
        /// Name of the instruction set.
        isa: &'static str,
    },
}
