//! From when to when a value is needed.

use binary_nets_graph::Graph;

use crate::schedule::Schedule;

/// The first and the last step, both included, in which a slot holds something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetime {
    /// The step that writes it.
    pub first: usize,
    /// The last step that reads it, or `first`.
    pub last: usize,
}

impl Lifetime {
    /// Whether both hold something in the same step.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// The lifetime of each value; `None` for leaves and for values that nothing computes.
pub fn lifetimes(graph: &Graph, schedule: &Schedule) -> Vec<Option<Lifetime>> {
    let mut lifetimes = vec![None; graph.values().len()];
    for (step, &id) in schedule.order.iter().enumerate() {
        let node = &graph.nodes()[id];
        for &output in &node.outputs {
            lifetimes[output.index()] = Some(Lifetime { first: step, last: step });
        }
        for &input in &node.inputs {
            if let Some(lifetime) = &mut lifetimes[input.index()] {
                lifetime.last = step;
            }
        }
    }
    lifetimes
}
