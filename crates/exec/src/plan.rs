//! From graph to program.

use binary_nets_graph::ops::{Input, Scalar, StateKind};
use binary_nets_graph::{Graph, Node, Op, Value};

use crate::liveness::{Lifetime, lifetimes};
use crate::place::{Request, place};
use crate::program::{Binding, Program, Step};
use crate::schedule::schedule;
use crate::slots::{Touch, slots};
use crate::verify::verify;
use crate::{Address, Backend, ExecError, IoMeta, Prepared, Prologue, Region, StateTable, align};

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

    let prepared =
        schedule.order.iter().map(|&id| prepare(backend, graph, &graph.nodes()[id])).collect::<Result<Vec<_>, _>>()?;

    let numbers = |values: &[Value]| values.iter().map(|v| v.index()).collect::<Vec<_>>();
    let touched: Vec<_> = schedule
        .order
        .iter()
        .map(|&id| (numbers(&graph.nodes()[id].inputs), numbers(&graph.nodes()[id].outputs)))
        .collect();
    let in_workspace: Vec<Option<Lifetime>> =
        lifetimes.iter().zip(&addresses).map(|(lifetime, address)| lifetime.filter(|_| address.is_none())).collect();
    let sizes: Vec<usize> = graph.values().map(bytes).collect();
    let touches = touched.iter().zip(&prepared).map(|((inputs, outputs), prepared)| Touch {
        inputs,
        outputs,
        in_place: prepared.in_place.as_ref(),
    });
    let slots = slots(&in_workspace, |value| sizes[value], touches);
    let own: Vec<(usize, Lifetime)> =
        slots.lifetimes.iter().enumerate().filter_map(|(slot, lifetime)| Some((slot, (*lifetime)?))).collect();
    let values = own.iter().map(|&(slot, lifetime)| Request { bytes: sizes[slot], lifetime });
    let scratches = prepared
        .iter()
        .enumerate()
        .map(|(step, p)| Request { bytes: p.scratch, lifetime: Lifetime { first: step, last: step } });
    let (offsets, workspace_bytes) = place(&values.chain(scratches).collect::<Vec<_>>());
    let (values, scratches) = offsets.split_at(own.len());
    let mut offset_of = vec![None; sizes.len()];
    for (&(slot, _), &offset) in own.iter().zip(values) {
        offset_of[slot] = Some(offset);
    }
    for (value, address) in addresses.iter_mut().enumerate().filter(|(value, _)| in_workspace[*value].is_some()) {
        *address =
            offset_of[slots.of[value]].map(|offset| Address { region: Region::Workspace, offset, bytes: sizes[value] });
    }

    let mut state_bytes = states.bytes();
    let address =
        |value: Value| addresses[value.index()].ok_or_else(|| ExecError::Plan(format!("{value} has no address")));
    let steps = schedule
        .order
        .iter()
        .zip(prepared)
        .zip(scratches)
        .zip(slots.replaced)
        .map(|(((&id, Prepared { kernel, name, scratch, prologue, .. }), &offset), replaced)| {
            let node = &graph.nodes()[id];
            let (prologue, bytes, consumed) = match prologue {
                Some(Prologue { kernel, bytes, consumed }) => (Some(kernel), bytes, consumed),
                None => (None, 0, Vec::new()),
            };
            let resident = push(Region::State, &mut state_bytes, bytes);
            Ok(Step {
                op: node.op.name(),
                path: node.path.clone(),
                kernel,
                kernel_name: name,
                inputs: node.inputs.iter().map(|&v| address(v)).collect::<Result<_, _>>()?,
                outputs: node.outputs.iter().map(|&v| address(v)).collect::<Result<_, _>>()?,
                layouts: node.outputs.iter().map(|&v| backend.layout(graph.meta(v))).collect(),
                writes: node.op.writes(),
                replaced,
                scratch: Address { region: Region::Workspace, offset, bytes: scratch },
                prologue,
                resident,
                consumed,
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

/// The kernel of a node.
pub fn prepare<B: Backend>(backend: &B, graph: &Graph, node: &Node) -> Result<Prepared<B::Kernel>, ExecError> {
    let metas = |values: &[Value]| values.iter().map(|&v| graph.meta(v)).collect();
    let constant =
        |value: &Value| matches!(&graph.producer(*value).op, Op::State(state) if state.kind == StateKind::Constant);
    let constant = node.inputs.iter().map(constant).collect();
    backend.prepare(
        &node.op,
        &IoMeta { inputs: metas(&node.inputs), outputs: metas(&node.outputs), constant, path: &node.path },
    )
}

/// The next slot of a region that only grows.
fn push(region: Region, end: &mut usize, bytes: usize) -> Address {
    let address = Address { region, offset: *end, bytes };
    *end = align(address.end());
    address
}
