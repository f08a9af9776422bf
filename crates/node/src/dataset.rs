//! Datasets.

use std::path::Path;
use std::sync::Arc;

use binary_nets_data::{Dataset, ImageOptions, ImageShape, InMemory, Subset, image_folder, market1501, mnist};
use napi::Env;
use napi::bindgen_prelude::{Float32ArraySlice, ObjectFinalize, Uint8ArraySlice, Unknown};
use napi_derive::napi;

use crate::account::Account;
use crate::argument::{self, Fields, wrong};
use crate::error::{Failure, call};
use crate::image;

/// The longest side of an image.
pub(crate) const MAX_SIDE: u64 = 65_535;

/// Labelled images of one shape.
#[napi(custom_finalize)]
pub struct NativeDataset {
    pub(crate) dataset: Arc<dyn Dataset>,
    account: Account,
}

/// One sample.
#[napi(object, object_from_js = false)]
pub struct NativeSample {
    /// `[height, width, channels]`
    pub image: Uint8ArraySlice<'static>,
    /// An index into the classes.
    pub label: u32,
    /// Its targets, where the dataset has any.
    #[napi(ts_type = "Float32Array")]
    pub target: Option<Float32ArraySlice<'static>>,
}

impl NativeDataset {
    fn new(env: &Env, dataset: Arc<dyn Dataset>, bytes: usize) -> Result<Self, Failure> {
        let account = Account::new();
        account.report(env, bytes)?;
        Ok(Self { dataset, account })
    }

    fn in_memory(env: &Env, dataset: InMemory) -> Result<Self, Failure> {
        let targets = dataset.targets() * size_of::<f32>();
        let bytes = dataset.len() * (dataset.shape().bytes() + size_of::<u32>() + targets);
        Self::new(env, Arc::new(dataset), bytes)
    }
}

#[napi]
impl NativeDataset {
    /// A pair of IDX files.
    #[napi(catch_unwind)]
    pub fn mnist(
        env: &Env,
        #[napi(ts_arg_type = "{ images: string; labels: string }")] files: Unknown,
    ) -> napi::Result<Self> {
        call(env, || {
            let files = Fields::new(files, "files")?;
            let images = files.required("images", argument::text)?;
            let labels = files.required("labels", argument::text)?;
            Self::in_memory(env, mnist::open(Path::new(&images), Path::new(&labels))?)
        })
    }

    /// The images `root/<class>/*.png|jpg|jpeg`.
    #[napi(catch_unwind)]
    pub fn image_folder(
        env: &Env,
        #[napi(ts_arg_type = "string")] root: Unknown,
        #[napi(
            ts_arg_type = "{ height?: number; width?: number; channels?: number; shorter?: number; onBroken?: string }"
        )]
        options: Unknown,
    ) -> napi::Result<Self> {
        call(env, || {
            let root = argument::text(root, "root")?;
            let files = image_folder::open(Path::new(&root), None, image_options(options)?)?;
            Self::new(env, Arc::new(files), 0)
        })
    }

    /// The people of a folder named as in Market-1501.
    #[napi(catch_unwind)]
    pub fn market1501(
        env: &Env,
        #[napi(ts_arg_type = "string")] folder: Unknown,
        #[napi(
            ts_arg_type = "{ height?: number; width?: number; channels?: number; shorter?: number; onBroken?: string }"
        )]
        options: Unknown,
    ) -> napi::Result<Self> {
        call(env, || {
            let folder = argument::text(folder, "folder")?;
            let files = market1501::open(Path::new(&folder), image_options(options)?)?;
            Self::new(env, Arc::new(files), 0)
        })
    }

    /// A copy of images `[n, height, width, channels]`, labels `[n]` and, where given, targets `[n, k]`.
    #[napi(catch_unwind)]
    pub fn from_arrays(
        env: &Env,
        #[napi(ts_arg_type = "Uint8Array")] images: Unknown,
        #[napi(ts_arg_type = "Uint32Array")] labels: Unknown,
        #[napi(ts_arg_type = "number")] height: Unknown,
        #[napi(ts_arg_type = "number")] width: Unknown,
        #[napi(ts_arg_type = "number")] channels: Unknown,
        #[napi(ts_arg_type = "string[]")] classes: Unknown,
        #[napi(ts_arg_type = "Float32Array")] targets: Option<Unknown>,
    ) -> napi::Result<Self> {
        call(env, || {
            let shape = ImageShape {
                height: argument::count(height, "height", MAX_SIDE)?,
                width: argument::count(width, "width", MAX_SIDE)?,
                channels: argument::count(channels, "channels", MAX_SIDE)?,
            };
            let classes = argument::texts(classes, "classes")?;
            let images = argument::array(images, "images")?;
            let labels = argument::array(labels, "labels")?;
            let dataset = InMemory::new(shape, images, labels, classes)?;
            match targets {
                None => Self::in_memory(env, dataset),
                Some(targets) => Self::in_memory(env, dataset.with_targets(argument::array(targets, "targets")?)?),
            }
        })
    }

    /// A view of the samples with these indices.
    #[napi(catch_unwind)]
    pub fn subset(&self, env: &Env, #[napi(ts_arg_type = "Uint32Array")] indices: Unknown) -> napi::Result<Self> {
        call(env, || {
            let indices: Vec<u32> = argument::array(indices, "indices")?;
            let bytes = size_of_val(&indices[..]);
            Self::new(env, Arc::new(Subset::new(Arc::clone(&self.dataset), indices)?), bytes)
        })
    }

    /// How many samples there are.
    #[napi(getter, catch_unwind)]
    pub fn length(&self) -> u32 {
        self.dataset.len() as u32
    }

    /// The rows of an image.
    #[napi(getter, catch_unwind)]
    pub fn height(&self) -> u32 {
        self.dataset.shape().height as u32
    }

    /// The columns of an image.
    #[napi(getter, catch_unwind)]
    pub fn width(&self) -> u32 {
        self.dataset.shape().width as u32
    }

    /// The channels of an image.
    #[napi(getter, catch_unwind)]
    pub fn channels(&self) -> u32 {
        self.dataset.shape().channels as u32
    }

    /// The names of the classes.
    #[napi(getter, catch_unwind)]
    pub fn classes(&self) -> Vec<String> {
        self.dataset.classes().to_vec()
    }

    /// How many floats each sample carries besides its label.
    #[napi(getter, catch_unwind)]
    pub fn targets(&self) -> u32 {
        self.dataset.targets() as u32
    }

    /// How many broken files were passed over so far.
    #[napi(getter, catch_unwind)]
    pub fn broken(&self) -> u32 {
        self.dataset.skipped() as u32
    }

    /// A copy of one sample.
    #[napi(catch_unwind)]
    pub fn read(&self, env: &Env, #[napi(ts_arg_type = "number")] index: Unknown) -> napi::Result<NativeSample> {
        call(env, || {
            let index = argument::integer(index, "index", 0..=self.dataset.len() as u64 - 1)? as usize;
            let mut image = vec![0; self.dataset.shape().bytes()];
            self.dataset.read(index, &mut image)?;
            let target = match self.dataset.targets() {
                0 => None,
                k => {
                    let mut target = vec![0.0; k];
                    self.dataset.read_target(index, &mut target);
                    Some(Float32ArraySlice::copy_from(env, target)?)
                }
            };
            let image = Uint8ArraySlice::copy_from(env, image)?;
            Ok(NativeSample { image, label: self.dataset.label(index), target })
        })
    }
}

impl ObjectFinalize for NativeDataset {
    fn finalize(self, env: Env) -> napi::Result<()> {
        self.account.close(&env)
    }
}

/// How files become images.
fn image_options(options: Unknown) -> Result<ImageOptions, Failure> {
    let options = Fields::new(options, "options")?;
    let side = |value: Unknown, name: &str| argument::count(value, name, MAX_SIDE);
    let size = match (options.optional("height", side)?, options.optional("width", side)?) {
        (Some(height), Some(width)) => Some([height, width]),
        (None, None) => None,
        _ => return Err(wrong("options", "height and width together", "one of them")),
    };
    let channels = options.optional("channels", |value, name| argument::count(value, name, 3))?.unwrap_or(3);
    let skip_broken = match options.optional("onBroken", argument::text)?.as_deref() {
        None | Some("error") => false,
        Some("skip") => true,
        Some(other) => return Err(wrong("options.onBroken", "'error' or 'skip'", other)),
    };
    Ok(ImageOptions { channels, size, resize: image::resize(&options)?, skip_broken })
}
