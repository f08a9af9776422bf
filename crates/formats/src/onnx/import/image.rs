//! The input: uint8 pixels, whatever the model is given.

use binary_nets_graph::ops::{Input, NormalizeImage};
use binary_nets_graph::{Meaning, Value};

use super::Importer;
use super::node::{Result, short};
use super::term::{Map, Term};
use crate::model::Normalize;
use crate::onnx::axes::channels_first;
use crate::onnx::proto::{DataType, ValueInfoProto};

/// The most channels by which an axis is taken for that of the channels.
const MOST_CHANNELS: i64 = 4;

/// `factor·x + offset` for each channel of the pixels x, from 0 to 255.
#[derive(Clone)]
pub struct Pixels {
    pub value: Value,
    /// As in [`Map`].
    pub order: Vec<usize>,
    pub factor: Vec<f64>,
    pub offset: Vec<f64>,
}

/// The extents of an input of rank 4.
pub struct ImageInput {
    pub name: String,
    /// Height, width, channels.
    shape: [usize; 3],
    is_channels_first: bool,
    is_pixels: bool,
    /// The batch that the model is made for, if it is made for one only.
    pub batch: Option<usize>,
}

impl ImageInput {
    /// Reads the one input.
    pub fn new(info: &ValueInfoProto, normalize: Option<&Normalize>) -> Result<Self> {
        let tensor = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
        let Some(dims) = tensor.and_then(|t| t.shape.as_ref()).map(|shape| &shape.dim) else {
            return Err("its extents are not given".into());
        };
        let is_pixels = match tensor.map(|t| t.elem_type) {
            Some(known) if known == DataType::Uint8 as i32 => true,
            Some(known) if known == DataType::Float as i32 => false,
            _ => return Err("it should be an image of uint8 pixels or floats".into()),
        };
        let extents: Vec<i64> = dims.iter().map(|dim| dim.dim_value.unwrap_or(0)).collect();
        let &[batch, a, b, c] = &extents[..] else {
            return Err(format!("it should be a batch of images, of rank 4, not {}", extents.len()).into());
        };
        let channels = normalize.map(|normalize| normalize.mean.len() as i64);
        let fits = |extent: i64| match channels {
            Some(channels) => extent == channels,
            None => (1..=MOST_CHANNELS).contains(&extent),
        };
        // Our own models are channels-last, floats of others rather channels-first.
        let is_channels_first = if is_pixels { !fits(c) } else { fits(a) };
        if !fits(if is_channels_first { a } else { c }) {
            return Err(match channels {
                Some(channels) => {
                    format!("neither its second nor its last axis has the {channels} channels of mean and std")
                }
                None => format!("neither its second nor its last axis has 1 to {MOST_CHANNELS} channels"),
            }
            .into());
        }
        let [h, w, c] = if is_channels_first { [b, c, a] } else { [a, b, c] };
        if h < 1 || w < 1 {
            return Err("its height and width are not given: export the model for images of one size".into());
        }
        let shape = [h, w, c].map(|extent| extent as usize);
        let batch = usize::try_from(batch).ok().filter(|&batch| batch > 0);
        Ok(Self { name: info.name.clone(), shape, is_channels_first, is_pixels, batch })
    }
}

impl Importer {
    /// The pixels that stand for the input; whether somebody gave a normalisation for it.
    pub fn input(&mut self, input: &ImageInput, is_given: bool) -> Result<Term> {
        let channels = input.shape[2];
        let (factor, offset) = match (input.is_pixels, &self.normalize) {
            (true, _) if is_given => {
                return Err("it takes pixels as they are, and normalises them itself: mean and std are for models that take floats".into());
            }
            (true, _) => (vec![1.0; channels], vec![0.0; channels]),
            (false, Some(Normalize { mean, std })) => {
                if std.len() != channels || std.iter().any(|&std| !(std > 0.0 && std.is_finite())) {
                    return Err(format!("mean and std should be {channels} finite numbers each, std above 0").into());
                }
                let factor = std.iter().map(|std| 1.0 / (255.0 * std)).collect();
                (factor, mean.iter().zip(std).map(|(mean, std)| -mean / std).collect())
            }
            (false, None) => {
                return Err("it takes floats, and nothing says how pixels become them: pass mean and std".into());
            }
        };
        let op =
            Input { name: "image".to_owned(), shape: input.shape.into(), meaning: Meaning::Int { min: 0, max: 255 } };
        "image".clone_into(&mut self.path);
        let value = self.emit(op, &[])?;
        let order = if input.is_channels_first { channels_first(4) } else { (0..4).collect() };
        Ok(Term::Pixels(Pixels { value, order, factor, offset }))
    }

    /// Pixels as the floats that they have become: `(x/255 − mean)/std`.
    pub fn image(&mut self, pixels: &Pixels) -> Result<Map> {
        if pixels.factor.iter().any(|&factor| !(factor > 0.0 && factor.is_finite())) {
            return Err("it multiplies pixels by what is not above 0".into());
        }
        let std: Vec<f64> = pixels.factor.iter().map(|factor| 1.0 / (255.0 * factor)).collect();
        let mean: Vec<f64> = pixels.offset.iter().zip(&std).map(|(offset, std)| -offset * std).collect();
        // What was written with f32 constants is what the metadata say exactly.
        let near = |a: &[f64], b: &[f64]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs().max(1.0 / 256.0))
        };
        let normalize = match &self.normalize {
            Some(known) if near(&mean, &known.mean) && near(&std, &known.std) => known.clone(),
            _ => Normalize { mean, std },
        };
        let known = self.images.iter().find(|(known, from, _)| *known == normalize && *from == pixels.value);
        let value = if let Some(&(_, _, value)) = known {
            value
        } else {
            let Normalize { mean, std } = normalize.clone();
            let value = self.emit(NormalizeImage { mean, std }, &[pixels.value])?;
            self.images.push((normalize, pixels.value, value));
            value
        };
        Ok(Map { value, order: pixels.order.clone() })
    }
}

/// The one input that is no constant.
pub fn only<'m>(inputs: impl Iterator<Item = &'m ValueInfoProto>) -> std::result::Result<&'m ValueInfoProto, String> {
    let inputs: Vec<&ValueInfoProto> = inputs.collect();
    match &inputs[..] {
        [input] => Ok(input),
        inputs => {
            let names: Vec<String> = inputs.iter().take(8).map(|input| short(&input.name)).collect();
            Err(format!("it should have one input, an image, but has {}: {}", inputs.len(), names.join(", ")))
        }
    }
}
