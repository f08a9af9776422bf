//! A frozen network as data: what a packed file, an ONNX export and an import have in common.

pub(crate) mod check;

use binary_nets_graph::spec::GraphSpec;
use binary_nets_graph::{Graph, ValueMeta};
use serde::{Deserialize, Serialize};

use crate::FormatError;

/// A frozen network: from uint8 pixels to named outputs.
#[derive(Clone, PartialEq, Debug)]
pub struct Model {
    /// The run graph that freezing makes. Its states are the constants.
    pub graph: GraphSpec,
    /// What the graph's states hold; one for each path.
    pub constants: Vec<Constant>,
    /// What else is known of it.
    pub metadata: Metadata,
}

impl Model {
    /// Its graph for one image, if it is what a frozen network may be, whoever made it: ops that only compute, states that only are read, one uint8 image;
    /// a constant for each state, with data that keep to what the graph says of them, so that no kernel can go astray; metadata that fit.
    pub fn check(&self) -> Result<Graph, FormatError> {
        let graph = check::graph(&self.graph)?;
        check::constants(&graph, &self.constants)?;
        check::metadata(&graph, &self.metadata)?;
        Ok(graph)
    }
}

/// A tensor of a frozen network.
#[derive(Clone, PartialEq, Debug)]
pub struct Constant {
    /// The path of the state: `conv1.q`, `layer1.0.conv1.bits`.
    pub path: String,
    /// What its elements mean, and its extents.
    pub meta: ValueMeta,
    /// Its elements, the last axis fastest.
    pub data: Elements,
}

/// The elements of a constant.
#[derive(Clone, PartialEq, Debug)]
pub enum Elements {
    /// Packed bits, as [`binary_nets_bits::BitLayout`] lays them.
    Bits(Vec<u64>),
    /// Integers within 16 bits.
    I16(Vec<i16>),
    /// Floats of which every one is a 16-bit float; here as f32.
    F16(Vec<f32>),
    /// Floats.
    F32(Vec<f32>),
}

impl Elements {
    /// What they are, for messages.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Bits(_) => "bits",
            Self::I16(_) => "integers",
            Self::F16(_) | Self::F32(_) => "floats",
        }
    }
}

/// What is known of a frozen network besides its graph; JSON in files.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// The names of the classes, one for each logit.
    pub classes: Option<Vec<String>>,
    /// What was subtracted from pixels in `[0, 1]`, and by what they were divided, one a channel. The graph does it itself.
    pub normalize: Option<Normalize>,
    /// How an image of another size becomes one of the input's.
    pub resize: Resize,
    /// Where the weights come from, in the host's own words.
    pub training: Option<serde_json::Value>,
}

/// Mean and standard deviation of each image channel, of pixels scaled to `[0, 1]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Normalize {
    /// What is subtracted.
    pub mean: Vec<f64>,
    /// What is divided by.
    pub std: Vec<f64>,
}

/// How an image of another size becomes one of the input's. The data crate, which resizes, has the same type; files and data do not know each other, and the
/// host passes one to the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Resize {
    /// Resized to the input's size, the aspect ratio disregarded.
    #[default]
    Stretch,
    /// Resized so that the shorter side has this many pixels, or more where the input would not fit in otherwise; then cropped about its middle.
    Shorter(u32),
}
