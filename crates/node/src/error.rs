//! From errors to codes: the one place that decides what JavaScript sees of them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use binary_nets_cpu::IsaError;
use binary_nets_data::DataError;
use binary_nets_exec::ExecError;
use binary_nets_formats::FormatError;
use binary_nets_graph::GraphError;
use binary_nets_network::NetworkError;
use napi::bindgen_prelude::{JsObjectValue, JsValue};
use napi::{Env, Status};

/// The `code` of an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    Shape,
    Spec,
    Argument,
    Unsupported,
    Device,
    NotFinite,
    Format,
    Io,
    Busy,
    Disposed,
    Internal,
    /// A call that was cancelled. What users see is the reason of their signal.
    Aborted,
}

impl Code {
    pub const ALL: [Self; 12] = [
        Self::Shape,
        Self::Spec,
        Self::Argument,
        Self::Unsupported,
        Self::Device,
        Self::NotFinite,
        Self::Format,
        Self::Io,
        Self::Busy,
        Self::Disposed,
        Self::Internal,
        Self::Aborted,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Shape => "BNETS_SHAPE",
            Self::Spec => "BNETS_SPEC",
            Self::Argument => "BNETS_ARGUMENT",
            Self::Unsupported => "BNETS_UNSUPPORTED",
            Self::Device => "BNETS_DEVICE",
            Self::NotFinite => "BNETS_NOT_FINITE",
            Self::Format => "BNETS_FORMAT",
            Self::Io => "BNETS_IO",
            Self::Busy => "BNETS_BUSY",
            Self::Disposed => "BNETS_DISPOSED",
            Self::Internal => "BNETS_INTERNAL",
            Self::Aborted => "BNETS_ABORTED",
        }
    }
}

/// Why a call fails.
#[derive(Debug)]
pub enum Failure {
    /// An error of this library.
    Coded {
        code: Code,
        message: String,
        /// The path of the layer to blame.
        node: Option<String>,
    },
    /// What a getter of an argument threw, or Node itself.
    Thrown(napi::Error),
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self::Coded { code, message: message.into(), node: None }
    }

    fn at(code: Code, path: &str, message: String) -> Self {
        Self::Coded { code, message, node: Some(path.to_owned()).filter(|path| !path.is_empty()) }
    }

    /// The same with another message.
    fn saying(self, message: String) -> Self {
        match self {
            Self::Coded { code, node, .. } => Self::Coded { code, message, node },
            thrown @ Self::Thrown(_) => thrown,
        }
    }

    fn panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::new(Code::Internal, format!("a fault of binary-nets: {}", text.unwrap_or("no message")))
    }

    /// The error that is thrown, or that a promise is rejected with: an `Error` with `code` and, where a layer is to blame, `node`.
    pub fn into_error(self, env: &Env) -> napi::Error {
        match self {
            Self::Thrown(error) => error,
            Self::Coded { code, message, node } => coded(env, code, message, node).unwrap_or_else(|error| error),
        }
    }
}

fn coded(env: &Env, code: Code, message: String, node: Option<String>) -> napi::Result<napi::Error> {
    let mut error = env.create_error(napi::Error::new(Status::GenericFailure, message))?;
    error.set_named_property("code", code.name())?;
    if let Some(node) = node {
        error.set_named_property("node", node)?;
    }
    Ok(napi::Error::from_unknown_without_coercion(error.to_unknown()))
}

/// Turns a panic into a failure.
pub fn guard<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(Failure::panic(&*panic)))
}

/// The border of a synchronous call.
pub fn call<T>(env: &Env, work: impl FnOnce() -> Result<T, Failure>) -> napi::Result<T> {
    guard(work).map_err(|failure| failure.into_error(env))
}

impl From<napi::Error> for Failure {
    fn from(error: napi::Error) -> Self {
        Self::Thrown(error)
    }
}

impl From<NetworkError> for Failure {
    fn from(error: NetworkError) -> Self {
        let message = error.to_string();
        match error {
            NetworkError::Graph(error) => error.into(),
            NetworkError::Exec(error) => error.into(),
            NetworkError::Data(error) => error.into(),
            NetworkError::Model(error) => error.into(),
            NetworkError::Format { source, .. } => Self::from(source).saying(message),
            NetworkError::Checkpoint { .. } | NetworkError::Weights { .. } => Self::new(Code::Format, message),
            NetworkError::Io { .. } => Self::new(Code::Io, message),
            NetworkError::Elements { .. } => Self::new(Code::Shape, message),
            NetworkError::NotFinite { path, .. } => Self::at(Code::NotFinite, &path, message),
            NetworkError::NotANumber { .. } => Self::new(Code::NotFinite, message),
            NetworkError::Batch { .. } | NetworkError::Argument(_) => Self::new(Code::Argument, message),
        }
    }
}

impl From<GraphError> for Failure {
    fn from(error: GraphError) -> Self {
        let message = error.to_string();
        match error {
            GraphError::Shape { path, .. } => Self::at(Code::Shape, &path, message),
            GraphError::Spec(_) | GraphError::Parse { .. } => Self::new(Code::Spec, message),
            GraphError::NotDifferentiable { path, .. } => Self::at(Code::Unsupported, &path, message),
            GraphError::Unknown { .. } => Self::new(Code::Argument, message),
        }
    }
}

impl From<ExecError> for Failure {
    fn from(error: ExecError) -> Self {
        let message = error.to_string();
        match error {
            ExecError::Unsupported { path, .. } => Self::at(Code::Unsupported, &path, message),
            ExecError::State { path, .. } => Self::at(Code::Shape, &path, message),
            ExecError::Plan(_) => Self::new(Code::Internal, message),
            ExecError::Cancelled => Self::new(Code::Aborted, message),
            ExecError::Device(_) => Self::new(Code::Device, message),
            ExecError::Panicked { path, .. } => Self::at(Code::Internal, &path, message),
        }
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        let code = match error {
            DataError::Io { .. } => Code::Io,
            DataError::Format { .. } | DataError::Image { .. } | DataError::BrokenImage { .. } => Code::Format,
            DataError::ImageSize { .. } | DataError::Length { .. } => Code::Shape,
            DataError::ClassFolders { .. }
            | DataError::Empty { .. }
            | DataError::LabelOutOfRange { .. }
            | DataError::IndexOutOfRange { .. }
            | DataError::TargetNotFinite { .. }
            | DataError::InvalidOption { .. } => Code::Argument,
            DataError::Cancelled => Code::Aborted,
            DataError::Stopped => Code::Disposed,
        };
        Self::new(code, error.to_string())
    }
}

impl From<FormatError> for Failure {
    fn from(error: FormatError) -> Self {
        let message = error.to_string();
        match error {
            FormatError::Onnx { .. } => Self::new(Code::Unsupported, message),
            FormatError::OnnxExport { path, .. } => Self::at(Code::Unsupported, &path, message),
            FormatError::Truncated { .. }
            | FormatError::OnnxFile { .. }
            | FormatError::Trailing { .. }
            | FormatError::HeaderLength { .. }
            | FormatError::Header { .. }
            | FormatError::MissingField { .. }
            | FormatError::Field { .. }
            | FormatError::Dtype { .. }
            | FormatError::Shape { .. }
            | FormatError::Offset { .. }
            | FormatError::Key { .. }
            | FormatError::Checksum { .. }
            | FormatError::NotPacked
            | FormatError::OtherKind { .. }
            | FormatError::Version { .. }
            | FormatError::NotZero { .. }
            | FormatError::Graph(_)
            | FormatError::Metadata(_)
            | FormatError::Unknown
            | FormatError::Legacy
            | FormatError::ByteOrder { .. }
            | FormatError::Zip { .. }
            | FormatError::Entry { .. }
            | FormatError::TooLarge { .. }
            | FormatError::Pickle { .. }
            | FormatError::Global { .. }
            | FormatError::Tensor { .. } => Self::new(Code::Format, message),
        }
    }
}

impl From<IsaError> for Failure {
    fn from(error: IsaError) -> Self {
        let code = match error {
            IsaError::Unknown { .. } => Code::Argument,
            IsaError::Unavailable { .. } => Code::Unsupported,
        };
        Self::new(code, error.to_string())
    }
}
