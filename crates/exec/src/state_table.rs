//! Where the network's state lies.

use std::collections::BTreeMap;

use binary_nets_graph::ops::State;
use binary_nets_graph::{Graph, Op, ValueMeta};

use crate::{Address, Backend, Region, align};

/// Every state tensor of a network and its address in [`Region::State`]. An address stays valid while the table grows.
#[derive(Clone, Debug, Default)]
pub struct StateTable {
    slots: BTreeMap<String, Slot>,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Slot {
    state: State,
    meta: ValueMeta,
    address: Address,
}

impl StateTable {
    /// Makes room for every state of a graph that has none yet; their paths.
    pub fn extend<B: Backend>(&mut self, backend: &B, graph: &Graph) -> Vec<String> {
        let mut added = Vec::new();
        for node in graph.nodes() {
            let Op::State(state) = &node.op else { continue };
            if self.slots.contains_key(&state.path) {
                continue;
            }
            let meta = graph.meta(node.outputs[0]);
            self.push(state, meta, backend.layout(meta).bytes());
            added.push(state.path.clone());
        }
        added
    }

    fn push(&mut self, state: &State, meta: &ValueMeta, bytes: usize) {
        let address = Address { region: Region::State, offset: self.bytes, bytes };
        self.bytes = align(address.end());
        self.slots.insert(state.path.clone(), Slot { state: state.clone(), meta: meta.clone(), address });
    }

    /// The table of the states that `keep` says, in the order of their addresses here, which may be others there.
    #[must_use]
    pub fn retaining(&self, keep: impl Fn(&State) -> bool) -> Self {
        let mut slots: Vec<&Slot> = self.slots.values().filter(|slot| keep(&slot.state)).collect();
        slots.sort_by_key(|slot| slot.address.offset);
        let mut table = Self::default();
        for slot in slots {
            table.push(&slot.state, &slot.meta, slot.address.bytes);
        }
        table
    }

    /// The size of the region, in bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The slot of a path.
    pub fn address(&self, path: &str) -> Option<Address> {
        self.slots.get(path).map(|slot| slot.address)
    }

    /// Meaning and shape of a path's tensor.
    pub fn meta(&self, path: &str) -> Option<&ValueMeta> {
        self.slots.get(path).map(|slot| &slot.meta)
    }

    /// All states, by path.
    pub fn states(&self) -> impl Iterator<Item = &State> {
        self.slots.values().map(|slot| &slot.state)
    }
}
