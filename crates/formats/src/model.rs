//! A frozen network as data: what a packed file, an ONNX export and an import have in common.

mod border;
pub(crate) mod constant;
pub(crate) mod graph;
pub(crate) mod metadata;
mod ops;
mod prologue;

use binary_nets_graph::Graph;
use binary_nets_graph::spec::GraphSpec;

pub use self::constant::{Constant, Elements};
pub use self::metadata::{Metadata, Normalize, Resize};
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
    /// a constant for each state, with data that keep to what the graph says of them, so that no kernel can go astray; metadata that fit;
    /// and no more to compute before the first image than a moment's work.
    pub fn check(&self) -> Result<Graph, FormatError> {
        let graph = graph::check(&self.graph)?;
        constant::check(&graph, &self.constants)?;
        metadata::check(&graph, &self.metadata)?;
        Ok(graph)
    }
}
