//! Weights from other files: those of a trained network, of `PyTorch`, of a smaller network.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use binary_nets_exec::Backend;
use binary_nets_formats::{FormatError, Tensor, safetensors, weights};
use binary_nets_graph::Shape;
use binary_nets_graph::ops::{State, StateKind};

use crate::replace_file::replace_file;
use crate::resize::{Fit, Noise, deviation, put};
use crate::stream::Stream;
use crate::{Network, NetworkError};

/// What a model may ask of weights that are not exactly its own.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LoadOptions {
    /// Takes what fits: tiles smaller tensors, cuts larger ones, leaves what is missing as it is. Otherwise everything must fit.
    pub partial: bool,
    /// Leaves the bases that tiling makes identical, as which they train on.
    pub symmetric: bool,
    /// What the noise between bases is drawn by; the network's own seed where none is given.
    pub seed: Option<u64>,
    /// The standard deviation of that noise, as a fraction of the tensor's own.
    pub noise: f32,
}

impl Default for LoadOptions {
    /// Exact weights; noise of 5 %, which keeps 98 of 100 signs of normal weights.
    fn default() -> Self {
        Self { partial: false, symmetric: false, seed: None, noise: 0.05 }
    }
}

/// What was done with the tensors of a file. Every state of the model is in one of the lists but `left_over`, which has keys of the file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LoadReport {
    /// Paths that were loaded as they are. The first of several bases is here too where it took what stands without `bases.k`.
    pub loaded: Vec<String>,
    /// Tensors that were repeated along axes, or taken by several bases.
    pub tiled: Vec<Resized>,
    /// Tensors of which the part was copied that the file's and the model's have in common; the rest is as it was.
    pub cut: Vec<Resized>,
    /// Paths for which the file has nothing, and which are as they were.
    pub missing: Vec<String>,
    /// Keys of the file that the model has no place for, without `module.`.
    pub left_over: Vec<String>,
}

/// A tensor that has changed its shape or its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resized {
    /// The model's path.
    pub path: String,
    /// The file's key, without `module.`.
    pub key: String,
    /// The shape in the file.
    pub from: Vec<usize>,
    /// The shape in the model.
    pub to: Vec<usize>,
}

/// How many culprits an error names.
const NAMED: usize = 5;

/// What `PyTorch`'s wrappers for several devices put in front of every key.
const WRAPPER: &str = "module.";

impl<B: Backend> Network<B> {
    /// Replaces parameters and running statistics by those of a safetensors file, a checkpoint, or a file of `torch.save` (never executing what is
    /// pickled in it).
    ///
    /// A prefix `module.` is no part of a key; `fc.*` are the weights of `classifier.*` if the model has no `fc`, the file no `classifier` and the shapes
    /// are the same. Keys that end in `num_batches_tracked`, and moments of optimizers (`…#…`), are passed over.
    ///
    /// All of the model's tensors must be there with their shapes, and no others; else the first that are not are named and nothing is changed. With
    /// `partial`
    /// * a tensor whose every extent divides the model's is tiled, as the bases of a parallel network lie along axis 0;
    /// * of any other the corner is copied that both have (1, 2 or 4 axes, as many in both);
    /// * a path with a step `bases.k` that the file lacks is looked for without it, so each base gets the same;
    /// * what is missing stays as it is, but something must fit.
    ///
    /// Numbers that are not finite are refused in any case.
    ///
    /// The optimizers start afresh, as by [`Network::reset_moments`]: what they and averages know is about the weights that were.
    ///
    /// Identical bases have identical gradients and stay identical for ever. So, unless `symmetric`, all but the first get noise if they are weights (of
    /// two axes or more): normal, `noise` times the standard deviation of the file's tensor, a pure function of (seed, path, index).
    pub fn load_weights(&mut self, path: &Path, options: &LoadOptions) -> Result<LoadReport, NetworkError> {
        if !(options.noise.is_finite() && options.noise >= 0.0) {
            return Err(NetworkError::Argument(format!("noise is a fraction of 0 or more, not {}", options.noise)));
        }
        let bytes = fs::read(path).map_err(|source| NetworkError::Io { path: path.to_owned(), source })?;
        let sources = weights::decode(&bytes).and_then(|tensors| self.sources(tensors));
        let sources = sources.map_err(|source| NetworkError::Format { path: path.to_owned(), source })?;

        let refuse = |message| Err(NetworkError::Weights { path: path.to_owned(), message });
        let (mut report, mut culprits, mut broken) = (LoadReport::default(), Vec::new(), BTreeSet::new());
        let (mut values, mut used) = (Vec::new(), BTreeSet::new());
        for state in self.states() {
            let Some(source) = find(&sources, &state.path, options.partial) else {
                culprits.push(format!("'{}' is missing", state.path));
                report.missing.push(state.path.clone());
                continue;
            };
            let fit = Fit::of(&source.shape, &state.shape);
            if fit != Some(Fit::Same) {
                let got = Shape::from(source.shape.clone());
                culprits.push(format!("'{}' is {got} where the model has {}", state.path, state.shape));
            }
            let Some(fit) = fit else {
                report.missing.push(state.path.clone());
                continue;
            };
            if used.insert(&source.path)
                && let Some((i, x)) = source.data.iter().enumerate().find(|(_, x)| !x.is_finite())
            {
                broken.insert(format!("'{}' holds {x}, at element {i}", source.path));
            }
            let mut data = self.state(&state.path)?;
            let noise = self.noise(state, source, fit, options);
            put(&source.data, &source.shape, &mut data, &state.shape, fit, noise);
            values.push((state.path.clone(), data));
            let resized = Resized {
                path: state.path.clone(),
                key: source.path.clone(),
                from: source.shape.clone(),
                to: state.shape.to_vec(),
            };
            match fit {
                Fit::Same if !repeats(state, source) => report.loaded.push(resized.path),
                Fit::Same | Fit::Tiles => report.tiled.push(resized),
                Fit::Corner => report.cut.push(resized),
            }
        }
        report.left_over = sources.keys().filter(|key| !used.contains(key)).cloned().collect();
        // What has a place but does not go into it has been named.
        let foreign = report.left_over.iter().filter(|key| self.states.meta(key).is_none());
        culprits.extend(foreign.map(|key| format!("'{key}' is left over")));
        if !options.partial && !culprits.is_empty() {
            return refuse(listed(culprits));
        }
        if !broken.is_empty() {
            return refuse(listed(broken.into_iter().collect()));
        }
        if options.partial && values.is_empty() {
            return refuse(format!("nothing in this file fits the model: {}", listed(culprits)));
        }
        for (path, data) in values {
            self.set_state(&path, &data)?;
        }
        self.reset_moments()?;
        Ok(report)
    }

    /// Writes parameters and running statistics as a safetensors file, by the keys that `PyTorch` has for them. The file is written beside and
    /// renamed, so a crash leaves the old one whole.
    pub fn save_weights(&self, path: &Path) -> Result<(), NetworkError> {
        let bytes = safetensors::encode(&self.tensors(self.states())?);
        let bytes = bytes.map_err(|source| NetworkError::Format { path: path.to_owned(), source })?;
        replace_file(path, &bytes).map_err(|source| NetworkError::Io { path: path.to_owned(), source })
    }

    /// The tensors of a file by the keys that this model would have for them.
    fn sources(&self, tensors: Vec<Tensor>) -> Result<BTreeMap<String, Tensor>, FormatError> {
        let has = |prefix: &str| self.states().any(|state| state.path.starts_with(prefix));
        let wrapped = !has(WRAPPER);
        let mut sources = BTreeMap::new();
        for tensor in tensors {
            let path = tensor.path.strip_prefix(WRAPPER).filter(|_| wrapped).unwrap_or(&tensor.path).to_owned();
            if path.rsplit('.').next() == Some("num_batches_tracked") || path.contains('#') {
                continue;
            }
            if sources.contains_key(&path) {
                return Err(FormatError::Key { path });
            }
            sources.insert(path.clone(), Tensor { path, ..tensor });
        }

        let classifier = |tensor: &Tensor| Some(format!("classifier.{}", tensor.path.strip_prefix("fc.")?));
        let renamed: Vec<(String, String)> =
            sources.values().filter_map(|tensor| Some((tensor.path.clone(), classifier(tensor)?))).collect();
        let agrees = |(key, path): &(String, String)| {
            self.states.meta(path).is_some_and(|meta| meta.shape[..] == sources[key].shape)
        };
        if !has("fc.") && !sources.keys().any(|key| key.starts_with("classifier.")) && renamed.iter().all(agrees) {
            for (key, path) in renamed {
                if let Some(tensor) = sources.remove(&key) {
                    sources.insert(path.clone(), Tensor { path, ..tensor });
                }
            }
        }
        Ok(sources)
    }

    /// The noise that tells a state's bases apart, or this base from the first; nothing where there are none.
    fn noise(&self, state: &State, source: &Tensor, fit: Fit, options: &LoadOptions) -> Option<Noise> {
        if options.symmetric || state.shape.len() < 2 || state.kind == StateKind::Statistic {
            return None;
        }
        let first = match fit {
            _ if repeats(state, source) => 0,
            Fit::Tiles => source.shape[0] * state.shape[1..].iter().product::<usize>(),
            Fit::Same | Fit::Corner => return None,
        };
        // A stream apart from that of the initial values.
        let stream = Stream::new(options.seed.unwrap_or(self.seed), &format!("{}#noise", state.path));
        Some(Noise { first, deviation: deviation(&source.data) * f64::from(options.noise), stream })
    }
}

/// The first culprits, and how many more there are.
fn listed(mut culprits: Vec<String>) -> String {
    let more = culprits.len().saturating_sub(NAMED);
    culprits.truncate(NAMED);
    culprits.extend((more > 0).then(|| format!("and {more} more")));
    culprits.join("; ")
}

/// Whether a state is of a base that takes what the first base takes as well.
fn repeats(state: &State, source: &Tensor) -> bool {
    source.path != state.path && base(&state.path).is_some_and(|(k, _)| k > 0)
}

/// The tensor for a path; with `partial`, a base may take the one that all share.
fn find<'s>(sources: &'s BTreeMap<String, Tensor>, path: &str, partial: bool) -> Option<&'s Tensor> {
    sources.get(path).or_else(|| sources.get(&base(path).filter(|_| partial)?.1))
}

/// Which base a path is in, by a step `bases.k`, and the path without that step.
fn base(path: &str) -> Option<(usize, String)> {
    let steps: Vec<&str> = path.split('.').collect();
    let at = steps.windows(2).position(|step| step[0] == "bases" && step[1].parse::<usize>().is_ok())?;
    Some((steps[at + 1].parse().ok()?, [&steps[..at], &steps[at + 2..]].concat().join(".")))
}
