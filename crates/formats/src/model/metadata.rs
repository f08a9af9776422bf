//! What is known of a frozen network besides its graph.

use binary_nets_graph::{Graph, Op};
use serde::{Deserialize, Serialize};

use crate::FormatError;

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

/// Metadata that fit a graph.
pub(crate) fn check(graph: &Graph, metadata: &Metadata) -> Result<(), FormatError> {
    let logits = graph.outputs().iter().find(|(name, _)| name == "logits").map(|(_, value)| graph.meta(*value));
    if let (Some(classes), Some(logits)) = (&metadata.classes, logits)
        && classes.len() != logits.shape.channels()
    {
        let (classes, logits) = (classes.len(), logits.shape.channels());
        return Err(FormatError::Metadata(format!("the names of {classes} classes, and there are {logits} logits")));
    }
    if let Some(normalize) = &metadata.normalize {
        let image = graph.nodes().iter().find(|node| matches!(node.op, Op::Input(_)));
        let channels = image.map_or(0, |node| graph.meta(node.outputs[0]).shape.channels());
        let numbers = || normalize.mean.iter().chain(&normalize.std);
        if [&normalize.mean, &normalize.std].iter().any(|list| list.len() != channels)
            || numbers().any(|x| !x.is_finite())
            || normalize.std.iter().any(|&std| std <= 0.0)
        {
            let message = format!("means and positive standard deviations of {channels} channels, not {normalize:?}");
            return Err(FormatError::Metadata(message));
        }
    }
    match metadata.resize {
        Resize::Shorter(0) => Err(FormatError::Metadata("a shorter side of 0 pixels".to_owned())),
        Resize::Shorter(_) | Resize::Stretch => Ok(()),
    }
}
