//! The gradient of a convolution with weights of one bit by its input: dy times α times the bits, by look-up tables.
//!
//! Every output is a chain over (row of dy, column of dy, five channels), ascending, for each term, and the terms are added in order, whatever the batch, the threads or the
//! instruction set; whole numbers have exact sums.

use binary_nets_bits::{Codes, words};
use binary_nets_exec::Prepared;
use binary_nets_graph::Window;
use binary_nets_graph::ops::{Rounding, StochasticRounding};
use binary_nets_kernels::Isa;
use binary_nets_kernels::stack_lut::{Lane, MOST, MOST_DEPTH, Pair};

use super::gradient_lines::{Gradient, Term};
use super::gradient_parts::Parts;
use super::laid;
use super::magnitudes::{magnitudes, rounding_of, scratch_len};
use super::stacked_grad_input::StackedGradInput;
use crate::io::{Io, Kernel};
use crate::target::Target;

/// What is multiplied.
pub struct BinaryGradInput {
    pub isa: Isa,
    /// What the bits of the weights mean.
    pub codes: Codes,
    /// Terms of the weights.
    pub terms: usize,
    pub rounding: Option<StochasticRounding>,
    /// The max pool whose gradient stands for dy.
    pub pool: Option<Window>,
    pub parts: Parts,
    /// Images, and rows, columns and channels of dy and of dx.
    pub images: usize,
    pub source: [usize; 3],
    pub target: [usize; 3],
    pub groups: usize,
    /// Channels of one group of dy and of dx.
    pub channels: [usize; 2],
    /// Taps of the kernel.
    pub taps: usize,
}

/// The weights of each term, and what dy times their factors is rounded with.
pub type Terms<'a, const TERMS: usize> = [(Term<'a>, Option<Rounding>); TERMS];

impl BinaryGradInput {
    /// For dy `[n, h', w', o]`, or that of a `pool` whose windows tile y, and dx `[n, h, w, c]`; weights are the sum of `terms` terms, whose bits mean `codes`, and
    /// dy times their factors is rounded as `rounding` says; fails, saying why, where it cannot be.
    pub fn new(
        window: &Window,
        groups: usize,
        pool: Option<Window>,
        [images, height, width, sources]: [usize; 4],
        [_, rows, columns, targets]: [usize; 4],
        (codes, terms): (Codes, usize),
        rounding: Option<StochasticRounding>,
        target: Target,
    ) -> Result<Self, String> {
        check_sums(window.taps() * sources / groups, rounding)?;
        // Pixels of y that no window of the pool reads have no gradient, as those outside have none.
        let [height, width] = pool.map_or([height, width], |pool| [height * pool.kernel[0], width * pool.kernel[1]]);
        Ok(Self {
            isa: target.isa,
            codes,
            terms,
            rounding,
            pool,
            parts: Parts::new(window, [height, width], [rows, columns]),
            images,
            source: [height, width, sources],
            target: [rows, columns, targets],
            groups,
            channels: [sources / groups, targets / groups],
            taps: window.taps(),
        })
    }

    /// The kernel: dy is input 0, the index of a pool input 3, weights are what `terms` finds.
    pub fn prepare<const TERMS: usize>(
        self,
        target: Target,
        terms: impl for<'a> Fn(&'a Io<'_>) -> [Term<'a>; TERMS] + Copy + Send + Sync + 'static,
    ) -> Prepared<Kernel> {
        assert_eq!(TERMS, self.terms, "terms");
        match self.rounding {
            Some(_) => prepare(StackedGradInput::<Pair>::new(self, target.threads), target, terms),
            None => prepare(StackedGradInput::<f32>::new(self, target.threads), target, terms),
        }
    }

    /// The bits of one source channel of a group for a tap: the target channels of a word.
    pub fn bits(&self, term: &Term<'_>, [group, source, tap, word]: [usize; 4]) -> u64 {
        let [sources, targets] = self.channels;
        let row = (group * sources + source) * self.taps + tap;
        if source < sources { term.packed[row * words(targets) + word] } else { 0 }
    }
}

/// Fails, saying why, where sums of so many products of whole numbers would not fit.
pub fn check_sums(products: usize, rounding: Option<StochasticRounding>) -> Result<(), String> {
    const { assert!(StochasticRounding::MOST <= MOST) };
    if rounding.is_some() && products > MOST_DEPTH {
        return Err(format!(
            "sums of {products} whole numbers are not exact, those of {MOST_DEPTH} are: compute its gradients in f32"
        ));
    }
    Ok(())
}

fn prepare<L: Lane, const TERMS: usize>(
    product: StackedGradInput<L>,
    target: Target,
    terms: impl for<'a> Fn(&'a Io<'_>) -> [Term<'a>; TERMS] + Copy + Send + Sync + 'static,
) -> Prepared<Kernel> {
    let BinaryGradInput { rounding, pool, source: [_, _, sources], .. } = *product.shape();
    let magnitudes_len = scratch_len(rounding, sources);
    let sizes = laid::Sizes { laid: product.laid_len(), scratch: magnitudes_len + target.threads * product.lane_len() };
    laid::prepare(
        product.kernel_name(),
        // No gradient is frozen, and `run` asks for whole terms.
        None,
        sizes,
        product,
        move |product, io, laid| product.lay(io.threads(), &terms(io), laid),
        move |product, io, laid, scratch| {
            let (scratch, lanes) = scratch.split_at_mut(magnitudes_len);
            let dy = io.input(0);
            let most = rounding.map(|rounding| {
                (rounding, magnitudes(io.threads(), target.isa, dy, sources, bytemuck::cast_slice_mut(scratch)))
            });
            let terms = terms(io).map(|term| {
                let rounding = most.map(|(rounding, most)| rounding_of(rounding, most, term.factors, io.run()));
                (term, rounding)
            });
            let gradient = Gradient { dy, index: pool.map_or(&[], |_| io.input(3)) };
            product.run(io.threads(), gradient, &terms, laid, lanes, io.output(0));
        },
    )
}

#[cfg(test)]
mod tests {
    use super::{MOST_DEPTH, StochasticRounding, check_sums};

    #[test]
    fn sums_that_would_not_fit_are_refused() {
        let rounding = Some(StochasticRounding { stream: 0 });
        assert_eq!(check_sums(MOST_DEPTH, rounding), Ok(()));
        assert!(check_sums(MOST_DEPTH + 1, rounding).unwrap_err().contains(&MOST_DEPTH.to_string()));
        assert_eq!(check_sums(MOST_DEPTH + 1, None), Ok(()));
    }
}
