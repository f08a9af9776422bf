//! Nodes and initializers as they are appended.

use std::collections::{BTreeMap, BTreeSet};

use crate::onnx::proto::{AttributeProto, DataType, NodeProto, TensorProto};

/// The elements of an initializer.
pub enum Data<'a> {
    F32(&'a [f32]),
    /// Bits of 16-bit floats.
    F16(&'a [u16]),
    I64(&'a [i64]),
    I8(&'a [i8]),
    U8(&'a [u8]),
}

/// A graph under construction. Every name is given once.
#[derive(Default)]
pub struct Writer {
    pub nodes: Vec<NodeProto>,
    pub initializers: Vec<TensorProto>,
    taken: BTreeSet<String>,
    /// The names of small constants that several nodes share.
    shared: BTreeMap<String, String>,
}

impl Writer {
    /// A name that nothing has yet: the one that is asked for, or with a number behind it.
    pub fn name(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut count = 1;
        while !self.taken.insert(name.clone()) {
            count += 1;
            name = format!("{wanted}_{count}");
        }
        name
    }

    /// Appends a node with one output, whose name it has too.
    pub fn node(&mut self, op: &str, path: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let name = self.name(&if path.is_empty() { op.to_owned() } else { format!("{path}/{op}") });
        self.named_node(op, &name, inputs, attributes);
        name
    }

    /// Appends a node whose output has a name that was taken for it.
    pub fn named_node(&mut self, op: &str, name: &str, inputs: &[&str], attribute: Vec<AttributeProto>) {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.to_owned()],
            name: name.to_owned(),
            op_type: op.to_owned(),
            attribute,
            domain: String::new(),
        });
    }

    /// Appends a constant.
    pub fn initializer(&mut self, name: &str, shape: &[usize], data: &Data) -> String {
        let (data_type, raw_data) = match data {
            Data::F32(data) => (DataType::Float, data.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Data::F16(data) => (DataType::Float16, data.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Data::I64(data) => (DataType::Int64, data.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Data::I8(data) => (DataType::Int8, data.iter().map(|&x| x as u8).collect()),
            Data::U8(data) => (DataType::Uint8, data.to_vec()),
        };
        let name = self.name(name);
        self.initializers.push(TensorProto {
            dims: shape.iter().map(|&extent| extent as i64).collect(),
            data_type: data_type as i32,
            name: name.clone(),
            raw_data,
            ..TensorProto::default()
        });
        name
    }

    /// A number, shape `[]`.
    pub fn number(&mut self, value: f32) -> String {
        self.shared(&format!("number/{value:?}"), &[], &Data::F32(&[value]))
    }

    /// A list of integers.
    pub fn integers(&mut self, values: &[i64]) -> String {
        let list: Vec<String> = values.iter().map(ToString::to_string).collect();
        self.shared(&format!("integers/{}", list.join(",")), &[values.len()], &Data::I64(values))
    }

    /// A constant of which one is enough; the key says all of it.
    pub fn shared(&mut self, key: &str, shape: &[usize], data: &Data) -> String {
        if let Some(known) = self.shared.get(key) {
            return known.clone();
        }
        let name = self.initializer(key, shape, data);
        self.shared.insert(key.to_owned(), name.clone());
        name
    }

    /// Numbers of another element type.
    pub fn cast(&mut self, path: &str, x: &str, to: DataType) -> String {
        self.node("Cast", path, &[x], vec![AttributeProto::int("to", to as i64)])
    }

    /// Axis `i` of the output is axis `order[i]` of x.
    pub fn transpose(&mut self, path: &str, x: &str, order: &[usize]) -> String {
        self.node("Transpose", path, &[x], vec![AttributeProto::ints("perm", order.iter().copied())])
    }
}
