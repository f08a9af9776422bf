//! A graph that is ready to run.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use binary_nets_graph::ValueMeta;

use crate::{Address, Layout, Replaced};

/// A loop over prepared kernels.
pub struct Program<K> {
    pub(crate) steps: Vec<Step<K>>,
    pub(crate) commit: usize,
    pub(crate) repeat: usize,
    pub(crate) state_bytes: usize,
    pub(crate) workspace_bytes: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) output_bytes: usize,
    pub(crate) inputs: Vec<Binding>,
    pub(crate) outputs: Vec<Binding>,
}

/// One node of a program.
pub struct Step<K> {
    /// The op's name.
    pub op: &'static str,
    /// The path of the layer.
    pub path: String,
    /// What runs.
    pub kernel: K,
    /// The name of the kernel that was chosen.
    pub kernel_name: &'static str,
    /// Where its inputs are.
    pub inputs: Vec<Address>,
    /// Where its outputs go.
    pub outputs: Vec<Address>,
    /// How its outputs are stored.
    pub layouts: Vec<Layout>,
    /// Which of its inputs it updates in place.
    pub writes: &'static [usize],
    /// The output that replaces an input, if one does.
    pub replaced: Option<Replaced>,
    /// Its scratch memory, in the workspace.
    pub scratch: Address,
    /// What fills `resident`, once.
    pub prologue: Option<K>,
    /// The result of the prologue, in the state region behind the states.
    pub resident: Address,
    /// The numbers of the inputs that only the prologue reads.
    pub consumed: Vec<usize>,
}

/// A name that the host knows a value by.
#[derive(Clone, PartialEq, Debug)]
pub struct Binding {
    /// The name of an input, scalar or output.
    pub name: String,
    /// Meaning and shape.
    pub meta: ValueMeta,
    /// Where it is. Repetition `i` has it `i · stride` bytes further on.
    pub address: Address,
    /// The distance between two repetitions, in bytes.
    pub stride: usize,
}

impl Binding {
    /// Where repetition `i` has the value.
    pub const fn at(&self, i: usize) -> Address {
        Address { offset: self.address.offset + i * self.stride, ..self.address }
    }
}

impl<K> Program<K> {
    /// The steps, in order.
    pub fn steps(&self) -> &[Step<K>] {
        &self.steps
    }

    /// The steps that change no state.
    pub const fn compute(&self) -> Range<usize> {
        0..self.commit
    }

    /// The steps that update state.
    pub const fn update(&self) -> Range<usize> {
        self.commit..self.steps.len()
    }

    /// The states that nothing but prologues reads: when these have run, [`crate::Backend::release`] may have them.
    pub fn consumed(&self) -> BTreeSet<Address> {
        let inputs = |consumed: bool| {
            let of = move |step: &Step<K>| {
                let inputs = step.inputs.iter().enumerate();
                let inputs = inputs.filter(move |(i, _)| step.consumed.contains(i) == consumed);
                inputs.map(|(_, &address)| address).collect::<Vec<_>>()
            };
            self.steps.iter().flat_map(of)
        };
        let mut addresses: BTreeSet<Address> = inputs(true).collect();
        for read in inputs(false).chain(self.outputs.iter().map(|output| output.address)) {
            addresses.remove(&read);
        }
        addresses
    }

    /// How often the program runs in one submission, on batch and output regions that many times as large: a frozen network is planned for one
    /// image and loops over the batch.
    pub const fn repeat(&self) -> usize {
        self.repeat
    }

    /// The size of the state region with the results of the prologues, in bytes.
    pub const fn state_bytes(&self) -> usize {
        self.state_bytes
    }

    /// The size of one workspace, in bytes; a backend uses [`crate::Backend::lanes`] of them.
    pub const fn workspace_bytes(&self) -> usize {
        self.workspace_bytes
    }

    /// The size of the batch region of one repetition, in bytes.
    pub const fn batch_bytes(&self) -> usize {
        self.batch_bytes
    }

    /// The size of the output region of one repetition, in bytes.
    pub const fn output_bytes(&self) -> usize {
        self.output_bytes
    }

    /// The inputs and scalars, by name.
    pub fn inputs(&self) -> &[Binding] {
        &self.inputs
    }

    /// The named outputs.
    pub fn outputs(&self) -> &[Binding] {
        &self.outputs
    }

    /// The step that writes a named output; `None` where none does.
    pub fn writer_of(&self, name: &str) -> Option<usize> {
        let output = self.outputs.iter().find(|output| output.name == name)?;
        self.steps.iter().position(|step| step.outputs.contains(&output.address))
    }
}

impl<K> fmt::Display for Program<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps.iter().enumerate() {
            if i == self.commit {
                writeln!(f, "-- update --")?;
            }
            let slots = |slots: &[Address]| {
                slots.iter().map(|s| format!("{:?}+{}", s.region, s.offset)).collect::<Vec<_>>().join(", ")
            };
            writeln!(
                f,
                "{} = {} [{}] ({}) @{}",
                slots(&step.outputs),
                step.op,
                step.kernel_name,
                slots(&step.inputs),
                step.path
            )?;
        }
        writeln!(
            f,
            "workspace {} B, batch {} B, output {} B, repeat {}",
            self.workspace_bytes, self.batch_bytes, self.output_bytes, self.repeat
        )
    }
}
