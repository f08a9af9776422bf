//! From graph to program.

use binary_nets_graph::ops::{Input, Scalar, StateKind};
use binary_nets_graph::{Graph, Op, Value};

use crate::liveness::{Lifetime, lifetimes};
use crate::place::{Request, place};
use crate::program::{Binding, Program, Step};
use crate::schedule::schedule;
use crate::verify::verify;
use crate::{Address, Backend, ExecError, IoMeta, Prepared, Region, StateTable, align};

/// Plans a graph: picks a kernel for each node and an address for each value, and checks the result. States lie where `states` says.
/// The program runs `repeat` times in one submission (see [`Program::repeat`]).
pub fn plan<B: Backend>(
    backend: &B,
    graph: &Graph,
    states: &StateTable,
    repeat: usize,
) -> Result<Program<B::Kernel>, ExecError> {
    let schedule = schedule(graph);
    let lifetimes = lifetimes(graph, &schedule);
    let mut addresses: Vec<Option<Address>> = vec![None; graph.values().len()];
    let bytes = |value: Value| backend.layout(graph.meta(value)).bytes();

    let mut inputs = Vec::new();
    let mut batch_bytes = 0;
    for node in graph.nodes().iter().filter(|n| n.op.is_leaf()) {
        let value = node.outputs[0];
        let meta = graph.meta(value);
        let address = match &node.op {
            Op::State(state) => {
                let missing = || ExecError::State { path: state.path.clone(), expected: meta.to_string() };
                states.address(&state.path).filter(|_| states.meta(&state.path) == Some(meta)).ok_or_else(missing)?
            }
            _ => push(Region::Batch, &mut batch_bytes, bytes(value)),
        };
        if let Op::Input(Input { name, .. }) | Op::Scalar(Scalar { name }) = &node.op {
            inputs.push((name.clone(), value));
        }
        addresses[value.index()] = Some(address);
    }

    let mut output_bytes = 0;
    for &(_, value) in graph.outputs() {
        if addresses[value.index()].is_none() {
            addresses[value.index()] = Some(push(Region::Output, &mut output_bytes, bytes(value)));
        }
    }

    let prepared = schedule
        .order
        .iter()
        .map(|&id| {
            let node = &graph.nodes()[id];
            let metas = |values: &[Value]| values.iter().map(|&v| graph.meta(v)).collect();
            let constant = |value: &Value| matches!(&graph.producer(*value).op, Op::State(state) if state.kind == StateKind::Constant);
            let constant = node.inputs.iter().map(constant).collect();
            backend.prepare(&node.op, &IoMeta { inputs: metas(&node.inputs), outputs: metas(&node.outputs), constant, path: &node.path })
        })
        .collect::<Result<Vec<_>, _>>()?;

    // Where an output replaces an input, the two are one slot: that of the input, which lives as long as both.
    let mut slots: Vec<Option<Slot>> = graph
        .values()
        .map(|v| {
            lifetimes[v.index()].filter(|_| addresses[v.index()].is_none()).map(|lifetime| Slot { of: v, lifetime })
        })
        .collect();
    let mut replaced = vec![None; schedule.order.len()];
    for (step, (&id, prepared)) in schedule.order.iter().zip(&prepared).enumerate() {
        let Some(in_place) = prepared.in_place else { continue };
        let node = &graph.nodes()[id];
        let (input, output) = (node.inputs[in_place.input], node.outputs[in_place.output]);
        let (Some(from), Some(to)) = (slots[input.index()], slots[output.index()]) else { continue };
        let read_once = node.inputs.iter().filter(|&&v| v == input).count() == 1;
        if read_once && from.lifetime.last == step && bytes(input) == bytes(output) {
            slots[output.index()] = Some(Slot { of: from.of, ..to });
            replaced[step] = Some(in_place);
        }
    }
    let unplaced: Vec<Value> = graph.values().filter(|v| slots[v.index()].is_some_and(|slot| slot.of == *v)).collect();
    let values = unplaced.iter().map(|&of| {
        let last = slots.iter().flatten().filter(|slot| slot.of == of).map(|slot| slot.lifetime.last).max();
        let first = lifetimes[of.index()].map_or(0, |lifetime| lifetime.first);
        Request { bytes: bytes(of), lifetime: Lifetime { first, last: last.unwrap_or(first) } }
    });
    let scratches = prepared
        .iter()
        .enumerate()
        .map(|(step, p)| Request { bytes: p.scratch, lifetime: Lifetime { first: step, last: step } });
    let (offsets, workspace_bytes) = place(&values.chain(scratches).collect::<Vec<_>>());
    let (values, scratches) = offsets.split_at(unplaced.len());
    for (&of, &offset) in unplaced.iter().zip(values) {
        for value in graph.values().filter(|v| slots[v.index()].is_some_and(|slot| slot.of == of)) {
            addresses[value.index()] = Some(Address { region: Region::Workspace, offset, bytes: bytes(value) });
        }
    }

    let mut state_bytes = states.bytes();
    let address =
        |value: Value| addresses[value.index()].ok_or_else(|| ExecError::Plan(format!("{value} has no address")));
    let steps = schedule
        .order
        .iter()
        .zip(prepared)
        .zip(scratches)
        .zip(replaced)
        .map(|(((&id, Prepared { kernel, name, scratch, prologue, .. }), &offset), in_place)| {
            let node = &graph.nodes()[id];
            let resident = push(Region::State, &mut state_bytes, prologue.as_ref().map_or(0, |p| p.bytes));
            Ok(Step {
                op: node.op.name(),
                path: node.path.clone(),
                kernel,
                kernel_name: name,
                inputs: node.inputs.iter().map(|&v| address(v)).collect::<Result<_, _>>()?,
                outputs: node.outputs.iter().map(|&v| address(v)).collect::<Result<_, _>>()?,
                layouts: node.outputs.iter().map(|&v| backend.layout(graph.meta(v))).collect(),
                writes: node.op.writes(),
                in_place,
                scratch: Address { region: Region::Workspace, offset, bytes: scratch },
                prologue: prologue.map(|p| p.kernel),
                resident,
            })
        })
        .collect::<Result<Vec<_>, ExecError>>()?;
    let binding = |(name, value): (String, Value)| {
        let address = address(value)?;
        let stride = match address.region {
            Region::State => 0,
            Region::Workspace => return Err(ExecError::Plan(format!("'{name}' lies in the workspace"))),
            Region::Batch => batch_bytes,
            Region::Output => output_bytes,
        };
        Ok(Binding { name, meta: graph.meta(value).clone(), address, stride })
    };
    let program = Program {
        steps,
        commit: schedule.commit,
        repeat,
        state_bytes,
        workspace_bytes,
        batch_bytes,
        output_bytes,
        inputs: inputs.into_iter().map(binding).collect::<Result<_, _>>()?,
        outputs: graph.outputs().iter().cloned().map(binding).collect::<Result<_, _>>()?,
    };
    verify(graph, &schedule, &addresses, &program, states)?;
    Ok(program)
}

/// The memory of a value in the workspace.
#[derive(Clone, Copy)]
struct Slot {
    /// The value that it was first made for.
    of: Value,
    /// When it holds the value.
    lifetime: Lifetime,
}

/// The next slot of a region that only grows.
fn push(region: Region, end: &mut usize, bytes: usize) -> Address {
    let address = Address { region, offset: *end, bytes };
    *end = align(address.end());
    address
}
