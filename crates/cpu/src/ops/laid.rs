//! Kernels that lay their weights before they read them: once, in the prologue, where they are constant, else every time.

use std::sync::Arc;

use binary_nets_exec::{IoMeta, Prepared, Prologue};
use bytemuck::Pod;

use crate::io::{Io, Kernel};

/// How many elements of memory a kernel needs.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Of laid weights.
    pub laid: usize,
    /// Of scratch.
    pub scratch: usize,
}

/// The weights, which are those inputs, where all of them are constants.
pub fn consumed(io: &IoMeta, weights: &[usize]) -> Option<Vec<usize>> {
    weights.iter().all(|&i| io.constant[i]).then(|| weights.to_vec())
}

/// `lay` writes the laid weights, and alone reads the inputs that they are made of, which are `consumed` or change from run to run; `run` reads what was laid and gets the scratch memory.
pub fn prepare<K: Send + Sync + 'static, T: Pod>(
    name: &'static str,
    consumed: Option<Vec<usize>>,
    sizes: Sizes,
    kernel: K,
    lay: impl Fn(&K, &Io<'_>, &mut [T]) + Send + Sync + 'static,
    run: impl Fn(&K, &Io<'_>, &[T], &mut [T]) + Send + Sync + 'static,
) -> Prepared<Kernel> {
    let bytes = |elements: usize| elements * size_of::<T>();
    let Sizes { laid, scratch } = sizes;
    if let Some(consumed) = consumed {
        let kernel = Arc::new(kernel);
        let same = Arc::clone(&kernel);
        let prologue: Kernel = Box::new(move |io| lay(&same, io, io.resident_mut()));
        Prepared {
            kernel: Box::new(move |io| run(&kernel, io, io.resident(), io.scratch())),
            name,
            scratch: bytes(scratch),
            prologue: Some(Prologue { kernel: prologue, bytes: bytes(laid), consumed }),
            in_place: None,
        }
    } else {
        let kernel: Kernel = Box::new(move |io| {
            let (panels, scratch) = io.scratch().split_at_mut(laid);
            lay(&kernel, io, panels);
            run(&kernel, io, panels, scratch);
        });
        Prepared { kernel, name, scratch: bytes(laid + scratch), prologue: None, in_place: None }
    }
}
