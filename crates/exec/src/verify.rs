//! A plan's rules, checked without trusting the planner.
//!
//! Backends hand out slices of one buffer on the strength of this check.

use binary_nets_graph::{Graph, Op};

use crate::liveness::Lifetime;
use crate::schedule::Schedule;
use crate::{ALIGNMENT, Address, ExecError, Program, Region, StateTable};

/// Checks that, in every step: slots are aligned and inside their regions; what is read was written and has not been overwritten since; outputs, scratch
/// and inputs that are updated in place overlap nothing else of the step; only state is updated in place, and only after all reads of the old.
pub fn verify<K>(
    graph: &Graph,
    schedule: &Schedule,
    addresses: &[Option<Address>],
    program: &Program<K>,
    states: &StateTable,
) -> Result<(), ExecError> {
    let fail = |step: usize, what: &str| {
        let Some(step) = program.steps().get(step) else { return Err(ExecError::Plan(what.to_owned())) };
        Err(ExecError::Plan(format!("{} at '{}': {what}", step.op, step.path)))
    };
    let size = |region| match region {
        Region::State => program.state_bytes(),
        Region::Workspace => program.workspace_bytes(),
        Region::Batch => program.batch_bytes(),
        Region::Output => program.output_bytes(),
    };
    for (i, step) in program.steps().iter().enumerate() {
        for slot in step.inputs.iter().chain(&step.outputs).chain([&step.scratch, &step.resident]) {
            if slot.offset % ALIGNMENT != 0 || slot.end() > size(slot.region) {
                return fail(i, "a slot lies outside its region");
            }
        }
        if step.outputs.iter().any(|slot| matches!(slot.region, Region::State | Region::Batch)) {
            return fail(i, "an output lies in a region that steps do not write");
        }
        if step.writes.iter().any(|&w| step.inputs[w].region != Region::State)
            || (!step.writes.is_empty() && i < program.commit)
        {
            return fail(i, "something else than state is updated in place, or too early");
        }
        let exclusive: Vec<&Address> = step
            .outputs
            .iter()
            .chain([&step.scratch, &step.resident])
            .chain(step.writes.iter().map(|&w| &step.inputs[w]))
            .collect();
        let shared = step.inputs.iter().enumerate().filter(|(k, _)| !step.writes.contains(k)).map(|(_, slot)| slot);
        for (k, slot) in exclusive.iter().enumerate() {
            if exclusive[k + 1..].iter().chain(&shared.clone().collect::<Vec<_>>()).any(|other| slot.overlaps(other)) {
                return fail(i, "an output overlaps another slot of the step");
            }
        }
    }

    // When each value holds something: from the step that writes it to the last that reads it, or to the end for outputs.
    let end = schedule.order.len();
    let mut slots: Vec<(Address, Lifetime)> = Vec::new();
    for value in graph.values() {
        let written = schedule.order.iter().position(|&id| graph.nodes()[id].outputs.contains(&value));
        let reads = || {
            schedule
                .order
                .iter()
                .enumerate()
                .filter(|(_, id)| graph.nodes()[**id].inputs.contains(&value))
                .map(|(step, _)| step)
        };
        let leaf = graph.producer(value).op.is_leaf();
        let first = match written {
            Some(step) => step,
            None if leaf => continue,
            None => return fail(end, "a value is never written"),
        };
        if reads().any(|step| step <= first) {
            return fail(first, "a value is read before it is written");
        }
        let last = if graph.outputs().iter().any(|&(_, v)| v == value) { end } else { reads().max().unwrap_or(first) };
        let Some(address) = addresses[value.index()] else { return fail(first, "an output has no address") };
        slots.push((address, Lifetime { first, last }));
    }
    if program.steps().iter().any(|s| s.resident.offset < states.bytes()) {
        return fail(end, "the result of a prologue lies among the states");
    }
    slots.extend(program.steps().iter().map(|s| (s.resident, Lifetime { first: 0, last: end })));
    slots.extend(program.steps().iter().enumerate().map(|(i, s)| (s.scratch, Lifetime { first: i, last: i })));
    slots.sort_by_key(|(slot, _)| (slot.region, slot.offset));
    for (i, (slot, lifetime)) in slots.iter().enumerate() {
        let near =
            slots[i + 1..].iter().take_while(|(other, _)| other.region == slot.region && other.offset < slot.end());
        if near.into_iter().any(|(other, l)| slot.overlaps(other) && lifetime.overlaps(l)) {
            return fail(lifetime.first, "two values that live at the same time overlap");
        }
    }
    if graph
        .nodes()
        .iter()
        .any(|n| n.op.writes().iter().any(|&w| !matches!(graph.producer(n.inputs[w]).op, Op::State(_))))
    {
        return fail(end, "an op updates something else than state");
    }
    Ok(())
}
