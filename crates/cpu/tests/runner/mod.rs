//! Runs a graph on a [`Cpu`] from named values to named values.

use std::sync::Arc;

use binary_nets_bits::{BitLayout, Codes};
use binary_nets_conformance::suite::{Inputs, Outputs, Values};
use binary_nets_cpu::Cpu;
use binary_nets_exec::{Address, Backend, ExecError, Layout, Memory, Program, Region, Run, StateTable, Storage, plan};
use binary_nets_graph::{Graph, Meaning, ValueMeta};

type Kernel = <Cpu as Backend>::Kernel;
type Buffer = <Cpu as Backend>::Buffer;

/// A planned graph with its memory.
pub struct Planned<'c> {
    pub cpu: &'c Cpu,
    pub program: Arc<Program<Kernel>>,
    pub memory: Memory<Buffer>,
    pub states: StateTable,
}

impl<'c> Planned<'c> {
    pub fn new(cpu: &'c Cpu, graph: &Graph, repeat: usize) -> Result<Self, ExecError> {
        let mut states = StateTable::default();
        states.extend(cpu, graph);
        let program = plan(cpu, graph, &states, repeat)?;
        let memory = Memory {
            state: cpu.allocate(program.state_bytes())?,
            workspace: cpu.allocate(cpu.lanes(repeat) * program.workspace_bytes())?,
            batch: cpu.allocate(repeat * program.batch_bytes())?,
            output: cpu.allocate(repeat * program.output_bytes())?,
        };
        let planned = Self { cpu, program: Arc::new(program), memory, states };
        planned.poison();
        Ok(planned)
    }

    /// Fills what steps write with NaN, so that reading what nobody wrote shows.
    fn poison(&self) {
        let repeat = self.program.repeat();
        let sizes = [
            (Region::Workspace, self.cpu.lanes(repeat) * self.program.workspace_bytes()),
            (Region::Output, repeat * self.program.output_bytes()),
        ];
        for (region, bytes) in sizes {
            let all = Address { region, offset: 0, bytes };
            self.cpu.write(self.memory.region(region), all, &vec![0xff; bytes]);
        }
    }

    /// Writes states, and the inputs of a repetition.
    pub fn write(&self, inputs: &Inputs, repetition: usize) {
        for binding in self.program.inputs() {
            self.put(binding.at(repetition), &binding.meta, &inputs.tensors[&binding.name]);
        }
        for state in self.states.states() {
            let (address, meta) = (self.states.address(&state.path), self.states.meta(&state.path));
            self.put(address.unwrap(), meta.unwrap(), &inputs.tensors[&state.path]);
        }
    }

    /// Prologues, then all steps.
    pub fn run(&self, run: &Run) -> Result<(), ExecError> {
        self.cpu.prologue(&self.program, &self.memory)?;
        self.cpu.run(&self.program, 0..self.program.steps().len(), &self.memory, run)
    }

    /// The outputs of a repetition, and all states.
    pub fn read(&self, repetition: usize) -> Outputs {
        let outputs = self.program.outputs().iter().map(|b| (b.name.clone(), self.get(b.at(repetition), &b.meta)));
        let states = self.states.states().map(|state| {
            let (address, meta) = (self.states.address(&state.path), self.states.meta(&state.path));
            (state.path.clone(), self.get(address.unwrap(), meta.unwrap()))
        });
        Outputs { outputs: outputs.collect(), states: states.collect() }
    }

    fn put(&self, address: Address, meta: &ValueMeta, values: &Values) {
        self.cpu.write(self.memory.region(address.region), address, &bytes(meta, values));
    }

    fn get(&self, address: Address, meta: &ValueMeta) -> Values {
        let mut bytes = vec![0; Layout::interchange(meta).bytes()];
        self.cpu.read(self.memory.region(address.region), address, &mut bytes);
        values(meta, &bytes)
    }
}

fn layout(meta: &ValueMeta) -> Option<(BitLayout, Codes)> {
    let Meaning::Bit { codes, groups } = meta.meaning else { return None };
    Some((BitLayout { rows: meta.shape.rows(), groups, channels: meta.shape.channels() / groups }, codes))
}

fn bytes(meta: &ValueMeta, values: &Values) -> Vec<u8> {
    match values {
        Values::F32(data) => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Values::I64(data) => {
            let bytes = Layout::interchange(meta).storage.bytes();
            data.iter().flat_map(|x| x.to_le_bytes()[..bytes].to_vec()).collect()
        }
        Values::Codes(data) => {
            let (layout, codes) = layout(meta).unwrap();
            let mut words = vec![0u64; layout.len()];
            for (i, &code) in data.iter().enumerate() {
                let (row, channel) = (i / layout.row_channels(), i % layout.row_channels());
                let (word, bit) = layout.position(row, channel / layout.channels, channel % layout.channels);
                words[word] |= u64::from(i32::from(code) == codes.value(true)) << bit;
            }
            words.iter().flat_map(|w| w.to_le_bytes()).collect()
        }
    }
}

fn values(meta: &ValueMeta, bytes: &[u8]) -> Values {
    let storage = Layout::interchange(meta).storage;
    let numbers = bytes.chunks_exact(storage.bytes()).map(|b| {
        let mut all = [0; 8];
        all[..b.len()].copy_from_slice(b);
        u64::from_le_bytes(all)
    });
    match storage {
        Storage::F32 => Values::F32(numbers.map(|x| f32::from_bits(x as u32)).collect()),
        Storage::U8 | Storage::U32 => Values::I64(numbers.map(|x| x as i64).collect()),
        Storage::I16 => Values::I64(numbers.map(|x| i64::from(x as i16)).collect()),
        Storage::I32 => Values::I64(numbers.map(|x| i64::from(x as i32)).collect()),
        Storage::I64 => Values::I64(numbers.map(|x| x as i64).collect()),
        Storage::U64 => {
            let (layout, codes) = layout(meta).unwrap();
            let words: Vec<u64> = numbers.collect();
            for (i, word) in words.iter().enumerate() {
                let outside = !layout.valid_bits(i % layout.words());
                assert_eq!(word & outside, 0, "bits behind the last channel");
            }
            let group = |i: usize| layout.group(&words, i / layout.groups, i % layout.groups);
            let groups = 0..layout.rows * layout.groups;
            Values::Codes(
                groups.flat_map(|i| group(i).iter().map(|bit| codes.value(*bit) as i8).collect::<Vec<_>>()).collect(),
            )
        }
    }
}
