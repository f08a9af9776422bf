//! ONNX files by the bytes of their messages, without the library's own idea of them.

/// A number of seven bits a byte.
fn varint(mut x: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while x > 0x7f {
        bytes.push(x as u8 | 0x80);
        x >>= 7;
    }
    bytes.push(x as u8);
    bytes
}

/// A field that is a number.
pub fn number(tag: u64, x: i64) -> Vec<u8> {
    [varint(tag << 3), varint(x as u64)].concat()
}

/// A field that is a string, bytes or a message.
pub fn bytes(tag: u64, content: &[u8]) -> Vec<u8> {
    [&varint(tag << 3 | 2)[..], &varint(content.len() as u64), content].concat()
}

fn name(tag: u64, name: &str) -> Vec<u8> {
    bytes(tag, name.as_bytes())
}

/// A tensor of a type that is given by its number.
pub fn tensor(called: &str, kind: i64, dims: &[i64], raw: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|&extent| number(1, extent)).collect();
    [dims, number(2, kind), name(8, called), bytes(9, raw)].concat()
}

/// An input or output of a type that is given by its number; extents of 0 are left open.
fn info(called: &str, kind: i64, dims: &[i64]) -> Vec<u8> {
    let dim = |&extent: &i64| bytes(1, &if extent == 0 { name(2, "n") } else { number(1, extent) });
    let shape: Vec<u8> = dims.iter().flat_map(dim).collect();
    let tensor_type = [number(1, kind), bytes(2, &shape)].concat();
    [name(1, called), bytes(2, &bytes(1, &tensor_type))].concat()
}

/// An attribute.
#[derive(Clone, Copy)]
pub enum Attribute<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Text(&'a str),
}

/// A model under construction.
#[derive(Clone)]
pub struct Onnx {
    graph: Vec<u8>,
    pub opset: i64,
}

impl Onnx {
    /// One that takes floats `[n, 3, 8, 8]` called `x`.
    pub fn new() -> Self {
        Self { graph: bytes(11, &info("x", 1, &[0, 3, 8, 8])), opset: 17 }
    }

    /// One with another input: 1 for floats, 2 for pixels.
    pub fn taking(kind: i64, dims: &[i64]) -> Self {
        Self { graph: bytes(11, &info("x", kind, dims)), opset: 17 }
    }

    /// A constant of floats.
    pub fn floats(&mut self, called: &str, dims: &[i64], data: &[f32]) {
        let raw: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.graph.extend(bytes(5, &tensor(called, 1, dims, &raw)));
    }

    /// A constant list of integers.
    pub fn integers(&mut self, called: &str, data: &[i64]) {
        let raw: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.graph.extend(bytes(5, &tensor(called, 7, &[data.len() as i64], &raw)));
    }

    /// A message of the graph as it is.
    pub fn raw(&mut self, tag: u64, message: &[u8]) {
        self.graph.extend(bytes(tag, message));
    }

    /// A node with one output, whose name is its own.
    pub fn node(&mut self, op: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute)]) {
        self.node_of(op, inputs, &[output], attributes);
    }

    /// A node with some outputs, of which the first that has a name gives it its own.
    pub fn node_of(&mut self, op: &str, inputs: &[&str], outputs: &[&str], attributes: &[(&str, Attribute)]) {
        let attribute = |(called, value): &(&str, Attribute)| {
            let value = match value {
                Attribute::Int(x) => [number(3, *x), number(20, 2)].concat(),
                Attribute::Ints(list) => [list.iter().flat_map(|&x| number(8, x)).collect(), number(20, 7)].concat(),
                Attribute::Text(text) => [name(4, text), number(20, 3)].concat(),
            };
            bytes(5, &[name(1, called), value].concat())
        };
        let inputs: Vec<u8> = inputs.iter().flat_map(|input| name(1, input)).collect();
        let attributes: Vec<u8> = attributes.iter().flat_map(attribute).collect();
        let named: Vec<u8> = outputs.iter().flat_map(|output| name(2, output)).collect();
        let called = outputs.iter().find(|output| !output.is_empty()).expect("an output");
        self.graph.extend(bytes(1, &[inputs, named, name(3, called), name(4, op), attributes].concat()));
    }

    /// The file, with these outputs.
    pub fn file(mut self, outputs: &[&str]) -> Vec<u8> {
        for output in outputs {
            self.graph.extend(bytes(12, &info(output, 1, &[])));
        }
        [number(1, 8), bytes(7, &self.graph), bytes(8, &number(2, self.opset))].concat()
    }
}
