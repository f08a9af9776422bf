//! What can be wrong with a file.

use binary_nets_graph::GraphError;
use thiserror::Error;

/// What can be wrong with a file, or with what is to become one.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum FormatError {
    /// The file ends too early.
    #[error("the file ends after {got} bytes, it should have {expected}")]
    Truncated {
        /// The size that the file says it has, in bytes.
        expected: usize,
        /// The size that it has.
        got: usize,
    },
    /// The file goes on behind its last tensor.
    #[error("{extra} bytes too many from byte {offset} on")]
    Trailing {
        /// The first byte too many.
        offset: usize,
        /// How many there are.
        extra: usize,
    },
    /// The header is larger than any safetensors reader accepts, or this is no safetensors file at all.
    #[error(
        "this is no safetensors file: its first 8 bytes ask for a header of {length} bytes, and {limit} are allowed"
    )]
    HeaderLength {
        /// The length in the first eight bytes.
        length: u64,
        /// The largest that is allowed.
        limit: u64,
    },
    /// The header is no JSON of the form that it should have.
    #[error("the header is wrong at byte {offset}: {reason}")]
    Header {
        /// Where in the file.
        offset: usize,
        /// What the JSON parser says.
        reason: String,
    },
    /// A metadata field that must be there is not.
    #[error("the metadata has no '{field}'")]
    MissingField {
        /// The field.
        field: &'static str,
    },
    /// A metadata field holds something else than it should.
    #[error("the metadata field '{field}' should be {expected}, not '{got}'")]
    Field {
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A tensor's elements are of a type that this format does not hold.
    #[error("tensor '{path}' should be {expected}, not {got}")]
    Dtype {
        /// The tensor's key.
        path: String,
        /// The type it should have.
        expected: &'static str,
        /// The type it has.
        got: String,
    },
    /// A tensor's shape and its data are not of one size.
    #[error("tensor '{path}' of shape {shape:?} cannot have {bytes} bytes")]
    Shape {
        /// The tensor's key.
        path: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The size of its data, in bytes.
        bytes: usize,
    },
    /// Tensors overlap, or leave a gap between them.
    #[error("tensor '{path}' should start at byte {expected} of the data, not {got}")]
    Offset {
        /// The tensor's key.
        path: String,
        /// Where the tensor before it ends.
        expected: usize,
        /// Where it starts.
        got: usize,
    },
    /// Two tensors have the same key, or one has the key that safetensors keeps for metadata.
    #[error("the key '{path}' is taken already")]
    Key {
        /// The key.
        path: String,
    },
    /// Bytes have changed since the file was written.
    #[error("the file is corrupted: its checksum is {got}, it should be {expected}")]
    Checksum {
        /// What the file says, in hexadecimal.
        expected: String,
        /// What its bytes give.
        got: String,
    },
    /// The file is no packed network.
    #[error("this is no packed network (.bnn): it does not begin as one, or was changed on its way as text files are")]
    NotPacked,
    /// A file of another kind than the one that is read.
    #[error("this is {found}: {advice}")]
    OtherKind {
        /// What it is.
        found: &'static str,
        /// What to do with it.
        advice: &'static str,
    },
    /// The file is of a version that this library does not know.
    #[error(
        "the file is of version {got} of the packed format, and only version {known} is read: a newer binary-nets wrote it"
    )]
    Version {
        /// The version of the file.
        got: u32,
        /// The version that is read.
        known: u32,
    },
    /// A byte between two parts of the file is not 0.
    #[error("byte {offset} lies between two parts of the file and should be 0")]
    NotZero {
        /// Where in the file.
        offset: usize,
    },
    /// The graph of a frozen network is impossible, or has what none has.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// What is said of a frozen network does not fit it.
    #[error("the metadata: {0}")]
    Metadata(String),
    /// The file is of none of the kinds that hold weights.
    #[error("this is neither a safetensors file nor one that torch.save wrote")]
    Unknown,
    /// `PyTorch` before 1.6 wrote it, or was asked to write it so.
    #[error(
        "this file was written by an old PyTorch (before 1.6) or in its format: load it there and save it again, \
         torch.save(state_dict, path)"
    )]
    Legacy,
    /// `PyTorch` wrote it on a big-endian machine.
    #[error("the numbers of this file are '{order}'-endian, only little-endian ones are read")]
    ByteOrder {
        /// What the file says.
        order: String,
    },
    /// A zip archive is broken, or uses what is not read.
    #[error("the zip archive is wrong at byte {offset}: {reason}")]
    Zip {
        /// Where in the file.
        offset: usize,
        /// What is wrong there.
        reason: String,
    },
    /// An entry of a zip archive is broken, or missing.
    #[error("the entry '{name}' of the zip archive: {reason}")]
    Entry {
        /// The entry.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What a file holds takes more memory than a file of its size should.
    #[error("'{what}' takes {bytes} bytes, beyond the {limit} that this file may take in memory")]
    TooLarge {
        /// The entry or tensor.
        what: String,
        /// Its bytes.
        bytes: usize,
        /// What the whole file may take.
        limit: usize,
    },
    /// A pickle is broken, or does what no state dict needs.
    #[error("the pickle is wrong at byte {offset}: {reason}")]
    Pickle {
        /// Where in `data.pkl`.
        offset: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A pickle names a class or function that no state dict needs.
    #[error(
        "the pickle asks for '{name}' at byte {offset}, which is refused: only a state dict is read, and nothing is \
         ever executed; save one with torch.save(model.state_dict(), path)"
    )]
    Global {
        /// `posix.system`.
        name: String,
        /// Where in `data.pkl`.
        offset: usize,
    },
    /// A state dict is none, or one of its entries is no tensor that can be read.
    #[error("'{path}' {reason}")]
    Tensor {
        /// The key.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is no ONNX model.
    #[error("this is no ONNX model that can be read: {reason}")]
    OnnxFile {
        /// What is wrong.
        reason: String,
    },
    /// A node of an ONNX model, or one of its inputs, outputs or constants, is broken or means what this library cannot compute.
    #[error("the ONNX model's {node}: {reason}")]
    Onnx {
        /// Its kind, and its name or what it computes: `Conv 'conv1'`, `Relu that makes 'y'`, `input 'x'`.
        node: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A frozen network does what ONNX cannot say, or what the exporter does not know.
    #[error("{op} at '{path}' cannot be written as ONNX: {reason}")]
    OnnxExport {
        /// The op's name.
        op: &'static str,
        /// The path of the layer.
        path: String,
        /// Why not.
        reason: String,
    },
}
