//! The tensors of a frozen network.

use std::collections::BTreeMap;

use binary_nets_bits::BitLayout;
use binary_nets_graph::{Graph, Meaning, Op, ValueMeta};

use crate::FormatError;

/// A tensor of a frozen network.
#[derive(Clone, PartialEq, Debug)]
pub struct Constant {
    /// The path of the state: `conv1.q`, `layer1.0.conv1.bits`.
    pub path: String,
    /// What its elements mean, and its extents.
    pub meta: ValueMeta,
    /// Its elements, the last axis fastest.
    pub data: Elements,
}

/// The elements of a constant.
#[derive(Clone, PartialEq, Debug)]
pub enum Elements {
    /// Packed bits, as [`binary_nets_bits::BitLayout`] lays them.
    Bits(Vec<u64>),
    /// Integers within 16 bits.
    I16(Vec<i16>),
    /// Floats of which every one is a 16-bit float; here as f32.
    F16(Vec<f32>),
    /// Floats.
    F32(Vec<f32>),
}

impl Elements {
    /// What they are, for messages.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Bits(_) => "bits",
            Self::I16(_) => "integers",
            Self::F16(_) | Self::F32(_) => "floats",
        }
    }
}

/// What the states of a graph are, by path.
pub(crate) fn states(graph: &Graph) -> BTreeMap<&str, &ValueMeta> {
    let mut states = BTreeMap::new();
    for node in graph.nodes() {
        if let Op::State(state) = &node.op {
            states.insert(state.path.as_str(), graph.meta(node.outputs[0]));
        }
    }
    states
}

/// Constants that are what the states of a graph ask for.
pub(crate) fn check(graph: &Graph, constants: &[Constant]) -> Result<(), FormatError> {
    let mut missing = states(graph);
    for constant in constants {
        let path = || constant.path.clone();
        let refuse = |reason: String| Err(FormatError::Tensor { path: path(), reason });
        let Some(meta) = missing.remove(constant.path.as_str()) else {
            return if states(graph).contains_key(constant.path.as_str()) {
                Err(FormatError::Key { path: path() })
            } else {
                refuse("is no constant of the graph".to_owned())
            };
        };
        if *meta != constant.meta {
            return refuse(format!("should be {meta}, not {}", constant.meta));
        }
        if let Some(reason) = data_objection(meta, &constant.data) {
            return refuse(reason);
        }
    }
    match missing.first_key_value() {
        Some((path, meta)) => {
            Err(FormatError::Tensor { path: (*path).to_owned(), reason: format!("is missing, {meta}") })
        }
        None => Ok(()),
    }
}

/// Where the bits of a tensor in `groups` lie.
pub(crate) fn bit_layout(meta: &ValueMeta, groups: usize) -> BitLayout {
    BitLayout { rows: meta.shape.rows(), groups, channels: meta.shape.channels() / groups }
}

/// What is wrong with the elements of a tensor.
fn data_objection(meta: &ValueMeta, data: &Elements) -> Option<String> {
    let (expected, got) = match (meta.meaning, data) {
        (Meaning::Bit { groups, .. }, Elements::Bits(words)) => {
            let layout = bit_layout(meta, groups);
            let outside = |(i, word): (usize, &u64)| word & !layout.valid_bits(i % layout.words()) != 0;
            if words.len() == layout.len() && words.iter().enumerate().any(outside) {
                return Some("has bits behind the last channel of a group, which should be 0".to_owned());
            }
            (layout.len(), words.len())
        }
        (Meaning::Int { min, max }, Elements::I16(integers)) => {
            if let Some(integer) = integers.iter().find(|&&integer| !(min..=max).contains(&i64::from(integer))) {
                return Some(format!("is {meta} and holds {integer}"));
            }
            (meta.shape.elements(), integers.len())
        }
        (Meaning::F32, Elements::F16(floats) | Elements::F32(floats)) => (meta.shape.elements(), floats.len()),
        (_, data) => return Some(format!("is {meta} and holds {}", data.name())),
    };
    (expected != got).then(|| format!("is {meta} and holds {got} elements or words, not {expected}"))
}
