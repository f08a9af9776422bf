//! A node of the model, and why it is refused.

use binary_nets_graph::GraphError;

use crate::FormatError;
use crate::onnx::proto::{AttributeProto, NodeProto};

/// Why a node is refused, before it is said which.
#[derive(Debug)]
pub enum Refusal {
    /// In words.
    Reason(String),
    /// By an error that says all itself.
    Format(FormatError),
}

/// What becomes of a node.
pub type Result<T> = std::result::Result<T, Refusal>;

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        Self::Reason(reason.to_owned())
    }
}

impl From<FormatError> for Refusal {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

impl From<GraphError> for Refusal {
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Shape { op, expected, got, .. } => Self::Reason(format!("{op} expects {expected}, got {got}")),
            error => Self::Reason(error.to_string()),
        }
    }
}

impl Refusal {
    /// The error, with what it is about.
    pub fn at(self, node: String) -> FormatError {
        match self {
            Self::Reason(reason) => FormatError::Onnx { node, reason },
            Self::Format(error) => error,
        }
    }
}

/// The most characters of a file's names that messages and paths repeat.
const LONGEST_NAME: usize = 120;

/// A name of the file, cut short.
pub fn short(name: &str) -> String {
    name.chars().take(LONGEST_NAME).collect()
}

/// A node, to be asked for its attributes.
pub struct Node<'m> {
    pub proto: &'m NodeProto,
}

impl<'m> Node<'m> {
    /// `Conv 'conv1'`, or `Conv that makes 'y'`.
    pub fn described(&self) -> String {
        let NodeProto { op_type, name, output, .. } = self.proto;
        match (name.as_str(), output.first()) {
            ("", Some(output)) => format!("{} that makes '{}'", short(op_type), short(output)),
            (name, _) => format!("{} '{}'", short(op_type), short(name)),
        }
    }

    /// The path of the layer that it becomes. What we wrote ourselves has the op behind it.
    pub fn path(&self) -> String {
        let NodeProto { op_type, name, output, .. } = self.proto;
        let name = if name.is_empty() { output.first().map_or("", String::as_str) } else { name };
        let name =
            name.rsplit_once('/').filter(|(_, op)| op.starts_with(op_type.as_str())).map_or(name, |(path, _)| path);
        short(name).replace('#', "_").trim_matches('/').replace('/', ".")
    }

    fn attribute(&self, name: &str) -> Option<&'m AttributeProto> {
        self.proto.attribute.iter().find(|attribute| attribute.name == name)
    }

    /// An attribute by its name.
    pub fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// An integer, or what it is where it is left out.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.i.unwrap_or(0))
    }

    /// A float.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |attribute| attribute.f.unwrap_or(0.0))
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> Option<&'m [i64]> {
        self.attribute(name).map(|attribute| &attribute.ints[..])
    }

    /// A list of floats.
    pub fn floats(&self, name: &str) -> Option<&'m [f32]> {
        self.attribute(name).map(|attribute| &attribute.floats[..])
    }

    /// A word.
    pub fn string(&self, name: &str) -> Option<&'m str> {
        self.attribute(name).and_then(|attribute| str::from_utf8(attribute.s.as_deref()?).ok())
    }

    /// A constant.
    pub fn tensor(&self, name: &str) -> Option<&'m crate::onnx::proto::TensorProto> {
        self.attribute(name).and_then(|attribute| attribute.t.as_deref())
    }

    /// Two numbers, one an axis of an image, each 1 or more and no larger than an image could be.
    pub fn pair(&self, name: &str) -> Result<Option<[usize; 2]>> {
        let Some(numbers) = self.ints(name) else { return Ok(None) };
        let pair = <[i64; 2]>::try_from(numbers).ok().filter(|pair| pair.iter().all(|&x| (1..1 << 20).contains(&x)));
        match pair {
            Some(pair) => Ok(Some(pair.map(|x| x as usize))),
            None => Err(format!("its {name} should be two numbers of 1 or more, not {}", listed(numbers)).into()),
        }
    }
}

/// The first numbers of a list, for messages.
pub fn listed(numbers: &[i64]) -> String {
    let more = if numbers.len() > 8 { ", …" } else { "" };
    let first: Vec<String> = numbers.iter().take(8).map(ToString::to_string).collect();
    format!("[{}{more}]", first.join(", "))
}
