//! A backend of a few ops on float vectors. It copies inputs out, soils the scratch, computes, and copies outputs in, so that any two slots that
//! wrongly share memory give a wrong result.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use binary_nets_exec::{
    Address, Backend, Binding, ExecError, InPlace, IoMeta, Layout, Memory, Prepared, Program, Prologue, Region, Run,
    StateTable, plan,
};
use binary_nets_graph::ops::{ArithmeticFunction, UnaryFunction};
use binary_nets_graph::{Graph, Op, ValueMeta};

pub struct Vectors;

pub type Buffer = Arc<Mutex<Vec<u8>>>;

/// What a step computes, and whether it finds its second input negated in the resident slot.
pub struct Kernel {
    op: Op,
    resident: bool,
}

/// What an op makes of vectors; an op that updates its first input returns the new one.
pub fn compute(op: &Op, x: &[Vec<f32>]) -> Vec<f32> {
    let pairs = |f: fn(f32, f32) -> f32| x[0].iter().zip(&x[1]).map(|(&a, &b)| f(a, b)).collect();
    match op {
        Op::Fill(fill) => vec![fill.value; fill.shape.elements()],
        Op::Relu(_) => x[0].iter().map(|v| v.max(0.0)).collect(),
        Op::Unary(unary) if unary.function == UnaryFunction::Neg => x[0].iter().map(|v| -v).collect(),
        Op::Unary(unary) if unary.function == UnaryFunction::Log => x[0].iter().map(|v| v.ln()).collect(),
        Op::Arithmetic(a) if a.function == ArithmeticFunction::Add => pairs(|a, b| a + b),
        Op::Arithmetic(a) if a.function == ArithmeticFunction::Mul => pairs(|a, b| a * b),
        Op::Concat(_) => x.concat(),
        Op::Slice(slice) => x[0][slice.start..slice.end].to_vec(),
        Op::Sgd(_) => x[0].iter().zip(&x[1]).map(|(w, dw)| w - x[2][0] * dw).collect(),
        other => unreachable!("{} is not used in these tests", other.name()),
    }
}

impl Vectors {
    pub fn memory(program: &Program<Kernel>) -> Memory<Buffer> {
        // Everything that was not written is NaN.
        let buffer = |bytes: usize| Arc::new(Mutex::new(vec![0xff; bytes]));
        Memory {
            state: buffer(program.state_bytes()),
            workspace: buffer(program.workspace_bytes()),
            batch: buffer(program.batch_bytes() * program.repeat()),
            output: buffer(program.output_bytes() * program.repeat()),
        }
    }

    pub fn floats(&self, memory: &Memory<Buffer>, address: Address) -> Vec<f32> {
        let mut bytes = vec![0; address.bytes];
        self.read(memory.region(address.region), address, &mut bytes);
        bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
    }

    pub fn set(&self, memory: &Memory<Buffer>, address: Address, data: &[f32]) {
        assert_eq!(address.bytes, 4 * data.len());
        let bytes: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.write(memory.region(address.region), address, &bytes);
    }
}

impl Backend for Vectors {
    type Buffer = Buffer;
    type Kernel = Kernel;
    type Ticket = ();

    fn layout(&self, value: &ValueMeta) -> Layout {
        Layout::interchange(value)
    }

    fn prepare(&self, op: &Op, io: &IoMeta) -> Result<Prepared<Kernel>, ExecError> {
        if let Op::Dropout(_) = op {
            let (path, reason) = (io.path.to_owned(), "vectors do not drop".to_owned());
            return Err(ExecError::Unsupported { op: op.name(), path, reason });
        }
        let kernel = |resident| Kernel { op: op.clone(), resident };
        let resident = matches!(op, Op::Arithmetic(_)) && io.constant[1];
        let bytes = Layout::interchange(io.inputs.last().copied().unwrap_or(&ValueMeta::f32([]))).bytes();
        Ok(Prepared {
            kernel: kernel(resident),
            name: "vectors",
            scratch: if matches!(op, Op::Relu(_) | Op::Concat(_)) { 1000 } else { 0 },
            prologue: resident.then(|| Prologue { kernel: kernel(true), bytes, consumed: vec![1] }),
            in_place: matches!(op, Op::Relu(_) | Op::Unary(_)).then(|| InPlace { inputs: vec![0], output: 0 }),
        })
    }

    fn lanes(&self, _: usize) -> usize {
        1
    }

    fn allocate(&self, bytes: usize) -> Result<Buffer, ExecError> {
        Ok(Arc::new(Mutex::new(vec![0; bytes])))
    }

    /// The prologue negates a constant second operand; a step that has one negates it back.
    fn prologue(&self, program: &Arc<Program<Kernel>>, memory: &Memory<Buffer>) -> Result<(), ExecError> {
        for step in program.steps().iter().filter(|s| s.prologue.is_some()) {
            let negated: Vec<f32> = self.floats(memory, step.inputs[1]).iter().map(|x| -x).collect();
            self.set(memory, step.resident, &negated);
        }
        Ok(())
    }

    fn submit(
        &self,
        program: &Arc<Program<Kernel>>,
        steps: Range<usize>,
        memory: &Memory<Buffer>,
        _: &Run,
    ) -> Result<(), ExecError> {
        for i in 0..program.repeat() {
            let at = |a: &Address| match a.region {
                Region::State | Region::Workspace => *a,
                Region::Batch => Address { offset: a.offset + i * program.batch_bytes(), ..*a },
                Region::Output => Address { offset: a.offset + i * program.output_bytes(), ..*a },
            };
            for step in &program.steps()[steps.clone()] {
                let mut inputs: Vec<Vec<f32>> = step.inputs.iter().map(|a| self.floats(memory, at(a))).collect();
                if step.kernel.resident {
                    inputs[1] = self.floats(memory, step.resident).iter().map(|x| -x).collect();
                }
                self.set(memory, step.scratch, &vec![f32::NAN; step.scratch.bytes / 4]);
                let result = compute(&step.kernel.op, &inputs);
                let target = step.outputs.first().unwrap_or_else(|| &step.inputs[step.writes[0]]);
                self.set(memory, at(target), &result);
            }
        }
        Ok(())
    }

    fn wait(&self, (): ()) -> Result<(), ExecError> {
        Ok(())
    }

    fn write(&self, buffer: &Buffer, address: Address, bytes: &[u8]) {
        buffer.lock().unwrap()[address.offset..address.end()].copy_from_slice(bytes);
    }

    fn read(&self, buffer: &Buffer, address: Address, bytes: &mut [u8]) {
        bytes.copy_from_slice(&buffer.lock().unwrap()[address.offset..address.end()]);
    }
}

/// A planned graph with its memory.
pub struct Planned {
    pub program: Arc<Program<Kernel>>,
    pub states: StateTable,
    pub memory: Memory<Buffer>,
}

impl Planned {
    pub fn new(graph: &Graph, repeat: usize) -> Result<Self, ExecError> {
        let mut states = StateTable::default();
        states.extend(&Vectors, graph);
        let program = Arc::new(plan(&Vectors, graph, &states, repeat)?);
        let memory = Vectors::memory(&program);
        Ok(Self { program, states, memory })
    }

    pub fn set_state(&self, path: &str, data: &[f32]) {
        Vectors.set(&self.memory, self.states.address(path).unwrap(), data);
    }

    pub fn state(&self, path: &str) -> Vec<f32> {
        Vectors.floats(&self.memory, self.states.address(path).unwrap())
    }

    fn binding<'p>(bindings: &'p [Binding], name: &str) -> &'p Binding {
        bindings.iter().find(|b| b.name == name).unwrap()
    }

    pub fn set_input(&self, name: &str, repetition: usize, data: &[f32]) {
        Vectors.set(&self.memory, Self::binding(self.program.inputs(), name).at(repetition), data);
    }

    pub fn output(&self, name: &str, repetition: usize) -> Vec<f32> {
        Vectors.floats(&self.memory, Self::binding(self.program.outputs(), name).at(repetition))
    }

    /// Prologues, then all steps.
    pub fn run(&self) {
        Vectors.prologue(&self.program, &self.memory).unwrap();
        Vectors.run(&self.program, 0..self.program.steps().len(), &self.memory, &Run::default()).unwrap();
    }
}

/// Computes every value of a graph one after another, each in a vector of its own: first the nodes that compute, then those that update.
pub fn evaluate(graph: &Graph, leaves: &HashMap<String, Vec<f32>>) -> (Vec<Vec<f32>>, HashMap<String, Vec<f32>>) {
    let mut values: Vec<Vec<f32>> = vec![Vec::new(); graph.values().len()];
    let mut states = HashMap::new();
    let (updates, computes): (Vec<_>, Vec<_>) = graph.nodes().iter().partition(|n| !n.op.writes().is_empty());
    for node in computes {
        let name = match &node.op {
            Op::Input(input) => Some(&input.name),
            Op::Scalar(scalar) => Some(&scalar.name),
            Op::State(state) => Some(&state.path),
            _ => None,
        };
        let inputs: Vec<Vec<f32>> = node.inputs.iter().map(|v| values[v.index()].clone()).collect();
        values[node.outputs[0].index()] = name.map_or_else(|| compute(&node.op, &inputs), |n| leaves[n].clone());
    }
    for node in updates {
        let inputs: Vec<Vec<f32>> = node.inputs.iter().map(|v| values[v.index()].clone()).collect();
        let Op::State(state) = &graph.producer(node.inputs[0]).op else { unreachable!("only state is updated") };
        values[node.inputs[0].index()] = compute(&node.op, &inputs);
        states.insert(state.path.clone(), values[node.inputs[0].index()].clone());
    }
    (values, states)
}
