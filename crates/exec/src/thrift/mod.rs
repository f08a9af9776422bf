//! An order of nodes that needs less memory: some come later, some again.

mod costs;

use binary_nets_graph::passes::recompute;
use binary_nets_graph::{Graph, NodeId};

use crate::liveness::Lifetime;
use crate::schedule::schedule;
use crate::slots::{Touch, slots};
use crate::{Backend, ExecError, MemoryPolicy, align};
use costs::Costs;

/// An input of a node that is done again, which is no longer there, is kept until then if it is that many times smaller than what is won, else computed again, too: both are tried.
const SMALL: [usize; 2] = [8, 2];

/// Values that are that many times smaller than the peak are left where they are.
const LEAST_PART: usize = 256;

/// How many of the best candidates are tried at once.
const TRIALS: usize = 8;

/// The most nodes that are done again for one value.
const LONGEST_CHAIN: usize = 32;

/// The graph with its nodes in an order that needs less memory at its peak, as far as the policy lets them be done again.
///
/// Looks at the step that needs the most memory, and there for a value that waits for a reader far ahead. If that value is computed in front of the reader instead
/// (nobody reads it before) or again (somebody does), with whatever it needs and is no longer there, the peak falls. Takes the value that wins the most for the least work,
/// and looks again, until no value is worth it; then leaves out what was done in vain.
pub fn thrifty<B: Backend>(backend: &B, graph: &Graph, policy: MemoryPolicy) -> Result<Graph, ExecError> {
    let costs = Costs::of(backend, graph)?;
    let mut order = Order::new(&costs, in_order(graph));
    let mut best = order.nodes.clone();
    let mut least = order.peak().1;
    while let Some(better) = order.improve(policy) {
        order = better;
        if order.peak().1 < least {
            (best, least) = (order.nodes.clone(), order.peak().1);
        }
    }
    recompute(graph, &Order::new(&costs, best).without_waste().nodes).map_err(|e| ExecError::Plan(e.to_string()))
}

/// All nodes in the order in which they run, leaves first.
fn in_order(graph: &Graph) -> Vec<NodeId> {
    let leaves = (0..graph.nodes().len()).filter(|&id| graph.nodes()[id].op.is_leaf());
    leaves.chain(schedule(graph).order).collect()
}

/// Nodes in an order, in which some may stand several times, and what that needs.
struct Order<'c> {
    costs: &'c Costs,
    nodes: Vec<NodeId>,
    /// Every value that a place of the order yields.
    instances: Vec<Instance>,
    /// The instances of each value, in order.
    of: Vec<Vec<usize>>,
    /// The bytes that each place needs.
    demand: Vec<usize>,
}

/// A value that may be computed in front of a reader.
struct Candidate {
    /// The bytes that no longer wait at the peak: those of the value, less those of the inputs that wait instead.
    won: usize,
    /// What is done again.
    work: f64,
    reader: usize,
    /// The nodes that are to stand in front of the reader.
    chain: Vec<NodeId>,
}

impl Candidate {
    fn worth(&self) -> f64 {
        self.won as f64 / self.work.max(1.0)
    }

    fn is_worth(&self, policy: MemoryPolicy) -> bool {
        self.won > 0 && (self.work <= 0.0 || policy.least_gain().is_some_and(|least| self.worth() >= least))
    }
}

/// A value as one place of the order yields it.
struct Instance {
    value: usize,
    first: usize,
    /// The places that read it.
    reads: Vec<usize>,
}

impl Instance {
    fn last(&self) -> usize {
        self.reads.last().copied().unwrap_or(self.first)
    }
}

impl<'c> Order<'c> {
    fn new(costs: &'c Costs, nodes: Vec<NodeId>) -> Self {
        let mut instances: Vec<Instance> = Vec::new();
        let mut of: Vec<Vec<usize>> = vec![Vec::new(); costs.bytes.len()];
        let mut touched: Vec<(Vec<usize>, Vec<usize>)> = Vec::with_capacity(nodes.len());
        for (place, &id) in nodes.iter().enumerate() {
            let node = &costs.nodes[id];
            let inputs: Vec<usize> = node.inputs.iter().filter_map(|&value| of[value].last().copied()).collect();
            for &input in &inputs {
                instances[input].reads.push(place);
            }
            let outputs = node.outputs.iter().map(|&value| {
                of[value].push(instances.len());
                instances.push(Instance { value, first: place, reads: Vec::new() });
                instances.len() - 1
            });
            let outputs = outputs.collect();
            touched.push((inputs, outputs));
        }
        let lifetimes: Vec<Option<Lifetime>> = instances
            .iter()
            .map(|instance| {
                costs.placed[instance.value].then(|| Lifetime { first: instance.first, last: instance.last() })
            })
            .collect();
        let bytes = |instance: usize| costs.bytes[instances[instance].value];
        let touches = touched.iter().zip(&nodes).map(|((inputs, outputs), &id)| Touch {
            inputs,
            outputs,
            in_place: costs.nodes[id].in_place.as_ref(),
        });
        let slots = slots(&lifetimes, bytes, touches);
        let mut changes = vec![0isize; nodes.len() + 1];
        for (slot, lifetime) in slots.lifetimes.iter().enumerate() {
            if let Some(Lifetime { first, last }) = *lifetime {
                changes[first] += align(bytes(slot)) as isize;
                changes[last + 1] -= align(bytes(slot)) as isize;
            }
        }
        let mut held = 0;
        let demand = nodes.iter().zip(changes).map(|(&id, change)| {
            held += change;
            held as usize + align(costs.nodes[id].scratch)
        });
        let demand = demand.collect();
        Self { costs, nodes, instances, of, demand }
    }

    /// The first place that needs the most, and how much.
    fn peak(&self) -> (usize, usize) {
        let most = self.demand.iter().copied().max().unwrap_or(0);
        (self.demand.iter().position(|&bytes| bytes == most).unwrap_or(0), most)
    }

    /// A better order, which has one value less at the peak.
    fn improve(&self, policy: MemoryPolicy) -> Option<Self> {
        let (place, most) = self.peak();
        let mut candidates: Vec<Candidate> = Vec::new();
        for instance in &self.instances {
            let bytes = self.costs.bytes[instance.value];
            let waits = instance.first < place && instance.last() > place && !instance.reads.contains(&place);
            if !waits || !self.costs.placed[instance.value] || bytes * LEAST_PART < most {
                continue;
            }
            let Some(&reader) = instance.reads.iter().find(|&&read| read > place) else { continue };
            if !self.costs.nodes[self.nodes[reader]].writes {
                let again = SMALL.into_iter().filter_map(|small| self.again(instance, reader, small));
                candidates.extend(again.filter(|candidate| candidate.is_worth(policy)));
            }
        }
        candidates.sort_by(|a, b| b.worth().total_cmp(&a.worth()));
        let before = self.height();
        let mut orders = candidates.iter().take(TRIALS).map(|candidate| {
            let nodes = [&self.nodes[..candidate.reader], &candidate.chain, &self.nodes[candidate.reader..]].concat();
            Self::new(self.costs, self.costs.without_unread(&nodes))
        });
        orders.find(|order| order.height() < before)
    }

    /// The order without what is done again for nothing: what lowered a peak that another one stands above by now.
    fn without_waste(mut self) -> Self {
        let most = self.peak().1;
        // From the end, so that what was done for a node goes with it.
        let mut place = self.nodes.len();
        while place > 0 {
            place -= 1;
            if self.nodes[..place].contains(&self.nodes[place]) {
                let nodes = [&self.nodes[..place], &self.nodes[place + 1..]].concat();
                let order = Self::new(self.costs, self.costs.without_unread(&nodes));
                if order.peak().1 <= most {
                    place = place.min(order.nodes.len());
                    self = order;
                }
            }
        }
        self
    }

    /// What the peak needs, and how often: what must fall.
    fn height(&self) -> (usize, usize) {
        let most = self.peak().1;
        (most, self.demand.iter().filter(|&&bytes| bytes == most).count())
    }

    /// The value of an instance, computed in front of `reader`; inputs that are gone by then, but small, are kept.
    fn again(&self, instance: &Instance, reader: usize, small: usize) -> Option<Candidate> {
        let bytes = self.costs.bytes[instance.value];
        let (mut chain, mut kept) = (Vec::new(), 0);
        self.add_again(instance.value, reader, bytes / small, &mut chain, &mut kept)?;
        let mut work: f64 = chain.iter().map(|&id| self.costs.nodes[id].work).sum();
        let mut beside = self.instances.iter().filter(|other| other.first == instance.first);
        if beside.all(|other| other.reads.iter().all(|&read| read >= reader)) {
            // Nobody reads what the node yields before: it only comes later.
            work -= self.costs.nodes[self.nodes[instance.first]].work;
        }
        Some(Candidate { won: bytes.saturating_sub(kept), work, reader, chain })
    }

    /// Adds the nodes that compute a value in front of `reader` to a chain; of inputs that are gone by then those of at most `small` bytes are kept.
    fn add_again(
        &self,
        value: usize,
        reader: usize,
        small: usize,
        chain: &mut Vec<NodeId>,
        kept: &mut usize,
    ) -> Option<()> {
        let id = self.costs.producer[value];
        for &input in &self.costs.nodes[id].inputs {
            let from = self.costs.producer[input];
            if self.costs.nodes[from].is_leaf || chain.contains(&from) {
                continue;
            }
            let there = self.of[input].iter().rev().map(|&i| &self.instances[i]).find(|i| i.first < reader)?;
            if there.last() < reader && self.costs.placed[input] {
                if self.costs.bytes[input] > small {
                    self.add_again(input, reader, small, chain, kept)?;
                } else {
                    *kept += self.costs.bytes[input];
                }
            }
        }
        chain.push(id);
        (chain.len() <= LONGEST_CHAIN).then_some(())
    }
}
