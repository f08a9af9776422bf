//! What goes in and out of networks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use binary_nets_formats::model::Constant;
use binary_nets_formats::packed::Storage;
use binary_nets_graph::ops::{State, StateKind};
use binary_nets_network::{Confusion, Dump, Evaluation, LoadReport, Prediction, Resized, StepReport, TensorView};
use napi::Env;
use napi::bindgen_prelude::{Float32ArraySlice, Unknown};
use napi_derive::napi;

use crate::argument::{self, Element, wrong};
use crate::error::Failure;

/// What a training step yields.
#[napi(object, object_from_js = false)]
pub struct NativeStep {
    /// Of the batch, before an update.
    pub loss: f64,
    /// The objective's other outputs.
    pub metrics: BTreeMap<String, f64>,
    /// The samples of the batch.
    pub samples: u32,
    /// Whether the batch was the last of an update, which then was made.
    pub updated: bool,
    /// The time that it took, with waiting for the batch.
    pub milliseconds: f64,
    /// The part of it that was waiting for the batch.
    pub waited: f64,
}

/// How many signs of latent weights changed.
#[napi(object, object_from_js = false)]
pub struct NativeFlips {
    /// Those that did.
    pub flipped: f64,
    /// All of them.
    pub total: f64,
}

/// What an evaluation yields.
#[napi(object, object_from_js = false)]
pub struct NativeEvaluation {
    /// How many samples there were.
    pub samples: u32,
    /// The mean of `loss` over the samples, the sums of the objective's other outputs.
    pub metrics: BTreeMap<String, f64>,
}

/// How often each class was taken for each.
#[napi(object, object_from_js = false)]
pub struct NativeConfusion {
    /// The number of classes.
    pub classes: u32,
    /// `[classes, classes]`: a row for each true class, a column for each predicted one.
    pub counts: Vec<f64>,
}

/// What a frozen network says of the samples of a loader.
#[napi(object, object_from_js = false)]
pub struct NativeCounts {
    /// How many samples there were.
    pub samples: f64,
    /// The number of classes.
    pub classes: u32,
    /// `[classes, classes]`: a row for each true class, a column for each predicted one.
    pub counts: Vec<f64>,
    /// How many samples have the logit of their own class among the five largest.
    pub top5: f64,
}

/// A tensor of a frozen network.
#[napi(object, object_from_js = false)]
pub struct NativeConstant {
    /// Its path.
    pub path: String,
    /// How its elements are stored: `bits`, `i8`, `i16`, `f16` or `f32`.
    pub storage: String,
    /// Its extents.
    pub shape: Vec<u32>,
    /// The bytes that it takes in a file.
    pub bytes: f64,
}

/// A copy of a tensor.
#[napi(object, object_from_js = false)]
pub struct NativeTensor {
    /// Its extents.
    pub shape: Vec<u32>,
    /// Its elements, the last axis fastest.
    pub data: Float32ArraySlice<'static>,
}

/// A parameter or a running statistic.
#[napi(object, object_from_js = false)]
pub struct NativeParameter {
    /// Its checkpoint key.
    pub path: String,
    /// Its extents.
    pub shape: Vec<u32>,
    /// `parameter`, `latent` or `statistic`.
    pub kind: String,
}

/// What was done with the tensors of a file of weights.
#[napi(object, object_from_js = false)]
pub struct NativeLoadReport {
    /// Paths that were loaded as they are.
    pub loaded: Vec<String>,
    /// Tensors that were repeated.
    pub tiled: Vec<NativeResized>,
    /// Tensors of which a corner was copied.
    pub cut: Vec<NativeResized>,
    /// Paths that the file has nothing for.
    pub missing: Vec<String>,
    /// Keys that the model has no place for.
    pub left_over: Vec<String>,
}

/// A tensor that has changed its shape or its place.
#[napi(object, object_from_js = false)]
pub struct NativeResized {
    /// The model's path.
    pub path: String,
    /// The file's key.
    pub key: String,
    /// The shape in the file.
    pub from: Vec<u32>,
    /// The shape in the model.
    pub to: Vec<u32>,
}

impl NativeLoadReport {
    pub fn new(report: LoadReport) -> Self {
        let resized = |list: Vec<Resized>| list.into_iter().map(NativeResized::new).collect();
        Self {
            loaded: report.loaded,
            tiled: resized(report.tiled),
            cut: resized(report.cut),
            missing: report.missing,
            left_over: report.left_over,
        }
    }
}

impl NativeResized {
    fn new(resized: Resized) -> Self {
        let Resized { path, key, from, to } = resized;
        Self { path, key, from: extents(&from), to: extents(&to) }
    }
}

impl NativeStep {
    pub fn new(report: StepReport, start: Instant, waited: Duration) -> Self {
        Self {
            loss: report.loss.into(),
            metrics: report.metrics.into_iter().map(|(name, value)| (name, value.into())).collect(),
            samples: report.samples as u32,
            updated: report.updated,
            milliseconds: start.elapsed().as_secs_f64() * 1e3,
            waited: waited.as_secs_f64() * 1e3,
        }
    }
}

impl NativeFlips {
    pub fn new((flipped, total): (u64, u64)) -> Self {
        Self { flipped: flipped as f64, total: total as f64 }
    }
}

impl NativeEvaluation {
    pub fn new(evaluation: Evaluation) -> Self {
        let mut metrics = evaluation.sums;
        metrics.insert("loss".to_owned(), evaluation.loss);
        Self { samples: evaluation.samples as u32, metrics }
    }
}

impl NativeConfusion {
    pub fn new(confusion: Confusion) -> Self {
        let counts = confusion.counts.into_iter().map(|count| count as f64).collect();
        Self { classes: confusion.classes as u32, counts }
    }
}

impl NativeCounts {
    pub fn new(confusion: Confusion) -> Self {
        let samples = confusion.counts.iter().sum::<u64>() as f64;
        let top5 = confusion.among_first_five as f64;
        let NativeConfusion { classes, counts } = NativeConfusion::new(confusion);
        Self { samples, classes, counts, top5 }
    }
}

impl NativeConstant {
    pub fn new(constant: &Constant) -> Self {
        let storage = Storage::of(constant);
        Self {
            path: constant.path.clone(),
            storage: storage.name().to_owned(),
            shape: extents(&constant.meta.shape),
            bytes: storage.bytes(&constant.meta) as f64,
        }
    }
}

impl NativeTensor {
    pub fn named(env: &Env, predictions: Vec<Prediction>) -> Result<BTreeMap<String, Self>, Failure> {
        let tensor = |prediction: Prediction| {
            let data = Float32ArraySlice::copy_from(env, prediction.data)?;
            Ok((prediction.name, Self { shape: extents(&prediction.shape), data }))
        };
        predictions.into_iter().map(tensor).collect()
    }
}

impl NativeParameter {
    pub fn new(state: &State) -> Self {
        let kind = match state.kind {
            StateKind::Parameter => "parameter",
            StateKind::Latent => "latent",
            StateKind::Statistic => "statistic",
            StateKind::Moment => "moment",
            StateKind::Constant => "constant",
        };
        Self { path: state.path.clone(), shape: extents(&state.shape), kind: kind.to_owned() }
    }
}

fn extents(shape: &[usize]) -> Vec<u32> {
    shape.iter().map(|&extent| extent as u32).collect()
}

/// A tensor of a batch that JavaScript made.
pub enum Tensor {
    U8(Vec<u8>),
    U32(Vec<u32>),
    F32(Vec<f32>),
}

impl Tensor {
    pub fn new(value: Unknown, name: &str) -> Result<Self, Failure> {
        match argument::array_name(value)?.as_str() {
            u8::ARRAY => argument::array(value, name).map(Self::U8),
            u32::ARRAY => argument::array(value, name).map(Self::U32),
            f32::ARRAY => argument::array(value, name).map(Self::F32),
            other => Err(wrong(name, "a Uint8Array, Uint32Array or Float32Array", other)),
        }
    }

    pub fn view(&self) -> TensorView<'_> {
        match self {
            Self::U8(x) => TensorView::U8(x),
            Self::U32(x) => TensorView::U32(x),
            Self::F32(x) => TensorView::F32(x),
        }
    }
}

/// The graph that a name stands for.
pub fn dump(name: &str) -> Result<Dump, Failure> {
    Ok(match name {
        "model" => Dump::Model,
        "training" => Dump::Training,
        "evaluation" => Dump::Evaluation,
        "calibration" => Dump::Calibration,
        "fold" => Dump::Fold,
        "frozen" => Dump::Frozen,
        "fused" => Dump::Fused,
        other => {
            let expected = "'model', 'training', 'evaluation', 'calibration', 'fold', 'frozen' or 'fused'";
            return Err(wrong("what", expected, &format!("'{other}'")));
        }
    })
}
