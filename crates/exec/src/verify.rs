//! A plan's rules, checked without trusting the planner.
//!
//! Backends hand out slices of one buffer on the strength of this check.

use binary_nets_graph::ops::StateKind;
use binary_nets_graph::{Graph, Op, Value};

use crate::liveness::Lifetime;
use crate::schedule::Schedule;
use crate::{ALIGNMENT, Address, ExecError, Program, Region, Replaced, StateTable};

/// Checks that states lie where the table says and inputs apart from each other; that every step reads and writes the slots of its node's values, and that,
/// in every step: slots are aligned and inside their regions; what is read was written and has not been overwritten since; outputs, scratch
/// and inputs that are updated in place overlap nothing else of the step, but for an output that replaces an input whose last reader this step is; only state is
/// updated in place, only after all reads of the old, and never by repetitions; prologues consume nothing but constants.
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
    verify_leaves(graph, addresses, states)?;
    if program.steps().len() != schedule.order.len() {
        return Err(ExecError::Plan("the program has other steps than the schedule".to_owned()));
    }
    for (i, (step, &id)) in program.steps().iter().zip(&schedule.order).enumerate() {
        let node = &graph.nodes()[id];
        let placed = |values: &[Value], slots: &[Address]| {
            values.iter().map(|v| addresses[v.index()]).eq(slots.iter().map(|&slot| Some(slot)))
        };
        if !placed(&node.inputs, &step.inputs) || !placed(&node.outputs, &step.outputs) {
            return fail(i, "a slot is not that of its value");
        }
        if step.outputs.iter().zip(&step.layouts).any(|(slot, layout)| slot.bytes != layout.bytes()) {
            return fail(i, "a slot has another size than its value");
        }
        if step.writes != node.op.writes() {
            return fail(i, "the step updates other inputs than its op");
        }
        let constant = |i: &usize| {
            let op = node.inputs.get(*i).map(|value| &graph.producer(*value).op);
            matches!(op, Some(Op::State(state)) if state.kind == StateKind::Constant)
        };
        if !step.consumed.iter().all(constant) {
            return fail(i, "a prologue consumes an input that is no constant");
        }
        if !step.writes.is_empty() && program.repeat() > 1 {
            return fail(i, "a program that is repeated updates state");
        }
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
        let replaced = |k: usize| step.replaced.is_some_and(|replaced| replaced.input == k);
        if let Some(Replaced { input, output }) = step.replaced
            && step.inputs.get(input) != step.outputs.get(output)
        {
            return fail(i, "an output replaces an input that lies elsewhere");
        }
        let shared = step.inputs.iter().enumerate().filter(|&(k, _)| !step.writes.contains(&k) && !replaced(k));
        let shared = shared.map(|(_, slot)| slot);
        for (k, slot) in exclusive.iter().enumerate() {
            if exclusive[k + 1..].iter().chain(&shared.clone().collect::<Vec<_>>()).any(|other| slot.overlaps(other)) {
                return fail(i, "an output overlaps another slot of the step");
            }
        }
    }

    // When each value holds something: from the step that writes it to the last that reads it, or to the end for outputs.
    let end = schedule.order.len();
    let mut slots: Vec<(Address, Lifetime)> = Vec::new();
    let mut written = vec![None; graph.values().len()];
    let mut reads: Vec<Option<(usize, usize)>> = vec![None; graph.values().len()];
    for (step, &id) in schedule.order.iter().enumerate() {
        for value in &graph.nodes()[id].outputs {
            written[value.index()] = Some(step);
        }
        for value in &graph.nodes()[id].inputs {
            let read = &mut reads[value.index()];
            *read = Some((read.map_or(step, |(first, _)| first), step));
        }
    }
    for value in graph.values() {
        let first = match written[value.index()] {
            Some(step) => step,
            None if graph.producer(value).op.is_leaf() => continue,
            None => return fail(end, "a value is never written"),
        };
        let last = match reads[value.index()] {
            Some((read, _)) if read <= first => return fail(first, "a value is read before it is written"),
            _ if graph.outputs().iter().any(|&(_, v)| v == value) => end,
            Some((_, read)) => read,
            None => first,
        };
        let Some(address) = addresses[value.index()] else { return fail(first, "an output has no address") };
        // An input that is replaced in its last step holds nothing any more when that step is done.
        let replaced = program
            .steps()
            .get(last)
            .and_then(|step| Some(graph.nodes()[schedule.order[last]].inputs[step.replaced?.input]));
        if replaced == Some(value) && last > first {
            slots.push((address, Lifetime { first, last: last - 1 }));
        } else {
            slots.push((address, Lifetime { first, last }));
        }
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

/// States lie where the table says, inputs and scalars in slots of their own.
fn verify_leaves(graph: &Graph, addresses: &[Option<Address>], states: &StateTable) -> Result<(), ExecError> {
    let mut batch: Vec<Address> = Vec::new();
    for node in graph.nodes().iter().filter(|n| n.op.is_leaf()) {
        let address = addresses[node.outputs[0].index()];
        let wrong = |what: &str| ExecError::Plan(format!("{}: {what}", node.op.name()));
        match (&node.op, address) {
            (Op::State(state), _) if address == states.address(&state.path) => {}
            (Op::State(_), _) => return Err(wrong("a state lies elsewhere than the table says")),
            (_, Some(slot)) if slot.region == Region::Batch && !batch.iter().any(|b| b.overlaps(&slot)) => {
                batch.push(slot);
            }
            _ => return Err(wrong("it has no slot of its own in the batch")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::Arc;

    use super::*;
    use crate::schedule::schedule;
    use crate::{Backend, IoMeta, Layout, Memory, Prepared, Prologue, Run, plan};

    /// Plans and runs nothing.
    struct Nothing;

    impl Backend for Nothing {
        type Buffer = ();
        type Kernel = ();
        type Ticket = ();

        fn layout(&self, value: &binary_nets_graph::ValueMeta) -> Layout {
            Layout::interchange(value)
        }

        fn prepare(&self, op: &Op, _: &IoMeta) -> Result<Prepared<()>, ExecError> {
            let prologue =
                matches!(op, Op::Unary(_)).then_some(Prologue { kernel: (), bytes: 300, consumed: Vec::new() });
            Ok(Prepared { kernel: (), name: "nothing", scratch: 100, prologue, in_place: None })
        }

        fn lanes(&self, _: usize) -> usize {
            1
        }

        fn allocate(&self, _: usize) -> Result<(), ExecError> {
            Ok(())
        }

        fn prologue(&self, _: &Arc<Program<()>>, _: &Memory<()>) -> Result<(), ExecError> {
            Ok(())
        }

        fn submit(&self, _: &Arc<Program<()>>, _: Range<usize>, _: &Memory<()>, _: &Run) -> Result<(), ExecError> {
            Ok(())
        }

        fn wait(&self, (): ()) -> Result<(), ExecError> {
            Ok(())
        }

        fn write(&self, (): &(), _: Address, _: &[u8]) {}

        fn read(&self, (): &(), _: Address, _: &mut [u8]) {}
    }

    /// Values 0 w, 1 x, 2 y, 3 lr, 4 a, 5 b, 6 c, 7 d; steps 0 a, 1 b, 2 c, 3 d, 4 sgd.
    const GRAPH: &str = r#"graph batch=64
        %w = state {"path":"w","shape":[64],"kind":"parameter","init":{"constant":0.0}} ()
        %x = input {"name":"x","shape":[],"meaning":"f32"} ()
        %y = input {"name":"y","shape":[],"meaning":"f32"} ()
        %lr = scalar {"name":"lr"} ()
        %a = arithmetic {"function":"add"} (%x, %y) @a
        %b = unary {"function":"neg"} (%a) @b
        %c = arithmetic {"function":"mul"} (%a, %b) @c
        %d = relu {} (%c) @d
        sgd {"momentum":0.0,"nesterov":false,"weight_decay":0.0,"clamp":null} (%w, %b, %lr) @w
        output d = %d"#;

    /// A valid plan that a test breaks.
    struct Plan {
        program: Program<()>,
        schedule: Schedule,
        addresses: Vec<Option<Address>>,
        states: StateTable,
    }

    impl Plan {
        /// Moves a value and everything that reads or writes it.
        fn place(&mut self, graph: &Graph, value: usize, address: Address) {
            self.addresses[value] = Some(address);
            for (step, &id) in self.program.steps.iter_mut().zip(&self.schedule.order) {
                let node = &graph.nodes()[id];
                let values = node.inputs.iter().chain(&node.outputs);
                for (v, slot) in values.zip(step.inputs.iter_mut().chain(&mut step.outputs)) {
                    if v.index() == value {
                        *slot = address;
                    }
                }
            }
        }
    }

    fn broken(spoil: impl FnOnce(&Graph, &mut Plan)) -> Result<(), String> {
        let graph = Graph::parse(GRAPH).map_err(|e| e.to_string())?;
        let mut states = StateTable::default();
        states.extend(&Nothing, &graph);
        let program = plan(&Nothing, &graph, &states, 1).map_err(|e| e.to_string())?;
        let schedule = schedule(&graph);
        let mut addresses = vec![None; graph.values().len()];
        for node in graph.nodes().iter().filter(|n| n.op.is_leaf()) {
            if let Op::State(state) = &node.op {
                addresses[node.outputs[0].index()] = states.address(&state.path);
            }
        }
        for (step, &id) in program.steps.iter().zip(&schedule.order) {
            let node = &graph.nodes()[id];
            for (v, &slot) in node.inputs.iter().chain(&node.outputs).zip(step.inputs.iter().chain(&step.outputs)) {
                addresses[v.index()] = Some(slot);
            }
        }
        let mut plan = Plan { program, schedule, addresses, states };
        spoil(&graph, &mut plan);
        verify(&graph, &plan.schedule, &plan.addresses, &plan.program, &plan.states).map_err(|e| e.to_string())
    }

    #[track_caller]
    fn assert_refused(message: &str, spoil: impl FnOnce(&Graph, &mut Plan)) {
        assert_eq!(broken(spoil), Err(format!("invalid plan: {message}")));
    }

    #[test]
    fn a_plan_that_nobody_broke_is_valid() {
        assert_eq!(broken(|_, _| {}), Ok(()));
    }

    #[test]
    fn slots_must_be_aligned_and_inside() {
        let outside = "arithmetic at 'a': a slot lies outside its region";
        assert_refused(outside, |graph, p| {
            let a = p.addresses[4].unwrap();
            p.place(graph, 4, Address { offset: a.offset + 4, ..a });
        });
        assert_refused(outside, |graph, p| {
            let a = p.addresses[4].unwrap();
            p.place(graph, 4, Address { offset: p.program.workspace_bytes, ..a });
        });
        assert_refused(outside, |_, p| p.program.workspace_bytes = 0);
        assert_refused("relu at 'd': a slot lies outside its region", |_, p| p.program.output_bytes = 0);
        assert_refused("unary at 'b': a slot lies outside its region", |_, p| p.program.state_bytes -= 300);
    }

    #[test]
    fn steps_must_use_the_slots_of_their_values() {
        assert_refused("arithmetic at 'c': a slot is not that of its value", |_, p| {
            p.program.steps[2].inputs.swap(0, 1);
        });
        assert_refused("relu at 'd': a slot is not that of its value", |_, p| p.program.steps[3].inputs.clear());
        assert_refused("unary at 'b': a slot is not that of its value", |_, p| {
            p.program.steps[1].outputs[0].offset += ALIGNMENT;
        });
        assert_refused("unary at 'b': a slot has another size than its value", |graph, p| {
            let b = p.addresses[5].unwrap();
            p.place(graph, 5, Address { bytes: 128, ..b });
        });
        assert_refused("the program has other steps than the schedule", |_, p| p.program.steps.truncate(4));
    }

    #[test]
    fn values_that_live_at_the_same_time_must_not_overlap() {
        assert_refused("unary at 'b': an output overlaps another slot of the step", |graph, p| {
            let a = p.addresses[4].unwrap();
            p.place(graph, 5, a);
        });
        // c lives in steps 2 and 3; b, which the update reads, from 1 to 4.
        assert_refused("arithmetic at 'c': an output overlaps another slot of the step", |graph, p| {
            let b = p.addresses[5].unwrap();
            p.place(graph, 6, b);
        });
        // In step 3 nothing but the scratch touches b, which must survive it.
        assert_refused("unary at 'b': two values that live at the same time overlap", |_, p| {
            p.program.steps[3].scratch.offset = p.addresses[5].unwrap().offset;
        });
        assert_refused("unary at 'b': an output overlaps another slot of the step", |_, p| {
            p.program.steps[1].scratch = p.program.steps[1].inputs[0];
        });
    }

    #[test]
    fn slots_may_be_used_again() {
        // a is last read in step 2, so d of step 3 may have its place, once the scratches behind have gone from there.
        let reused = broken(|graph, p| {
            let a = p.addresses[4].unwrap();
            p.place(graph, 7, a);
            for step in &mut p.program.steps[3..] {
                step.scratch.offset = p.program.workspace_bytes;
            }
            p.program.workspace_bytes += ALIGNMENT;
        });
        assert_eq!(reused, Ok(()));
    }

    #[test]
    fn an_output_may_replace_an_input_that_nobody_reads_later() {
        let replace = |step: usize, input: usize| {
            move |graph: &Graph, p: &mut Plan| {
                let slot = p.program.steps[step].inputs[input];
                p.program.steps[step].replaced = Some(Replaced { input, output: 0 });
                p.place(graph, 4 + step, slot);
                // Scratches may lie where a value was that lives longer now.
                for step in &mut p.program.steps {
                    step.scratch.offset = p.program.workspace_bytes;
                }
                p.program.workspace_bytes += ALIGNMENT;
            }
        };
        // c takes the place of a, which is last read in step 2; b is read again by the update, and a by step 2.
        assert_eq!(broken(replace(2, 0)), Ok(()));
        assert_refused("unary at 'b': two values that live at the same time overlap", replace(2, 1));
        assert_refused("arithmetic at 'a': two values that live at the same time overlap", replace(1, 0));
        assert_refused("arithmetic at 'c': an output replaces an input that lies elsewhere", |_, p| {
            p.program.steps[2].replaced = Some(Replaced { input: 0, output: 0 });
        });
    }

    #[test]
    fn steps_write_the_workspace_and_the_output_alone() {
        for region in [Region::State, Region::Batch] {
            assert_refused("arithmetic at 'a': an output lies in a region that steps do not write", |graph, p| {
                p.place(graph, 4, Address { region, offset: 0, bytes: 256 });
            });
        }
    }

    #[test]
    fn only_state_is_updated_and_last_and_once() {
        let early = "sgd at 'w': something else than state is updated in place, or too early";
        assert_refused(early, |_, p| p.program.commit = 5);
        assert_refused("relu at 'd': the step updates other inputs than its op", |_, p| {
            p.program.steps[3].writes = &[0];
        });
        assert_refused("sgd at 'w': the step updates other inputs than its op", |_, p| p.program.steps[4].writes = &[]);
        assert_refused("sgd at 'w': a program that is repeated updates state", |_, p| p.program.repeat = 2);
    }

    #[test]
    fn only_constants_are_consumed() {
        let no_constant = |step: &str| format!("{step}: a prologue consumes an input that is no constant");
        assert_refused(&no_constant("relu at 'd'"), |_, p| p.program.steps[3].consumed = vec![0]);
        assert_refused(&no_constant("sgd at 'w'"), |_, p| p.program.steps[4].consumed = vec![0]);
        assert_refused(&no_constant("relu at 'd'"), |_, p| p.program.steps[3].consumed = vec![7]);
    }

    #[test]
    fn reads_follow_writes() {
        assert_refused("unary at 'b': a value is read before it is written", |_, p| {
            p.schedule.order.swap(1, 2);
            p.program.steps.swap(1, 2);
        });
        assert_refused("a value is never written", |_, p| {
            p.schedule.order.remove(1);
            p.program.steps.remove(1);
            p.program.commit = 3;
        });
    }

    #[test]
    fn leaves_lie_where_the_host_finds_them() {
        assert_refused("state: a state lies elsewhere than the table says", |graph, p| {
            let w = p.addresses[0].unwrap();
            p.place(graph, 0, Address { offset: w.offset + ALIGNMENT, ..w });
        });
        assert_refused("input: it has no slot of its own in the batch", |graph, p| {
            let x = p.addresses[1].unwrap();
            p.place(graph, 2, x);
        });
        assert_refused("input: it has no slot of its own in the batch", |_, p| p.addresses[1] = None);
    }

    #[test]
    fn results_of_prologues_lie_behind_the_states_and_apart() {
        assert_refused("the result of a prologue lies among the states", |_, p| p.program.steps[1].resident.offset = 0);
        assert_refused("arithmetic at 'a': two values that live at the same time overlap", |_, p| {
            p.program.steps[2].resident = p.program.steps[1].resident;
        });
    }
}
