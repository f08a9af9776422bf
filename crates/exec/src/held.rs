//! What lies in the workspace, and when.

use binary_nets_graph::{Graph, Node};
use serde::Serialize;

use crate::liveness::{Lifetime, lifetimes};
use crate::schedule::schedule;
use crate::{Program, Region, Step, align};

/// A value that lies in the workspace for a while.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Held {
    /// The op that yields it.
    pub op: &'static str,
    /// The path of its layer.
    pub path: String,
    /// Its meaning and shape.
    pub value: String,
    /// Its size.
    pub bytes: usize,
    /// The step that writes it.
    #[serde(skip)]
    pub first: usize,
    /// The last step that has to find it: the last that reads it, but for one that replaces it.
    #[serde(skip)]
    pub last: usize,
}

impl Held {
    /// Whether it lies there while a step runs.
    pub fn during(&self, step: usize) -> bool {
        (self.first..=self.last).contains(&step)
    }
}

impl<K> Program<K> {
    /// What lies in the workspace besides scratch memory, in the order in which it is written; `graph` is the one that the program was planned from.
    pub fn held(&self, graph: &Graph) -> Vec<Held> {
        let schedule = schedule(graph);
        let lifetimes = lifetimes(graph, &schedule);
        let mut all = Vec::new();
        for (first, (&id, step)) in schedule.order.iter().zip(self.steps()).enumerate() {
            let Node { op, path, outputs, .. } = &graph.nodes()[id];
            for (&value, address) in outputs.iter().zip(&step.outputs) {
                let Some(Lifetime { last, .. }) = lifetimes[value.index()] else { continue };
                if address.region != Region::Workspace {
                    continue;
                }
                let reader = &graph.nodes()[schedule.order[last]];
                let replaced = self.steps()[last].replaced.is_some_and(|r| reader.inputs[r.input] == value);
                let last = if replaced { last - 1 } else { last };
                let (path, value) = (path.clone(), graph.meta(value).to_string());
                all.push(Held { op: op.name(), path, value, bytes: address.bytes, first, last });
            }
        }
        all
    }

    /// The first step during which most is held of `held`, with its scratch memory.
    pub fn fullest(&self, held: &[Held]) -> usize {
        let mut fullest = (0, 0);
        for (step, Step { scratch, .. }) in self.steps().iter().enumerate() {
            let values = held.iter().filter(|held| held.during(step)).map(|held| align(held.bytes));
            let bytes = align(scratch.bytes) + values.sum::<usize>();
            if bytes > fullest.1 {
                fullest = (step, bytes);
            }
        }
        fullest.0
    }
}
