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

    let unplaced: Vec<Value> = graph.values().filter(|v| addresses[v.index()].is_none()).collect();
    let values =
        unplaced.iter().filter_map(|&v| lifetimes[v.index()].map(|lifetime| Request { bytes: bytes(v), lifetime }));
    let scratches = prepared
        .iter()
        .enumerate()
        .map(|(step, p)| Request { bytes: p.scratch, lifetime: Lifetime { first: step, last: step } });
    let (offsets, workspace_bytes) = place(&values.chain(scratches).collect::<Vec<_>>());
    let (values, scratches) = offsets.split_at(unplaced.len());
    for (&value, &offset) in unplaced.iter().zip(values) {
        addresses[value.index()] = Some(Address { region: Region::Workspace, offset, bytes: bytes(value) });
    }

    let mut state_bytes = states.bytes();
    let address =
        |value: Value| addresses[value.index()].ok_or_else(|| ExecError::Plan(format!("{value} has no address")));
    let steps = schedule
        .order
        .iter()
        .zip(prepared)
        .zip(scratches)
        .map(|((&id, Prepared { kernel, name, scratch, prologue }), &offset)| {
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

/// The next slot of a region that only grows.
fn push(region: Region, end: &mut usize, bytes: usize) -> Address {
    let address = Address { region, offset: *end, bytes };
    *end = align(address.end());
    address
}
