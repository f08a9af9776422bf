//! Loaders, which networks borrow while they run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use binary_nets_data::{
    Augmentation, Balanced, Dataset, Loader, LoaderOptions, Sampler, SamplerState, Sequential, Shuffle, Weighted,
};
use napi::Env;
use napi::bindgen_prelude::{ClassInstance, FromNapiValue, ObjectFinalize, Unknown};
use napi_derive::napi;
use serde::Deserialize;

use crate::argument::{self, Fields, MAX_INTEGER, wrong};
use crate::dataset::NativeDataset;
use crate::error::{Code, Failure, call};

/// The most samples of a batch.
pub const MAX_BATCH: u64 = 65_536;

/// The most threads of a loader or a network.
pub const MAX_THREADS: u64 = 1024;

/// Batches, prepared on threads of their own.
#[napi(custom_finalize)]
pub struct NativeLoader {
    slot: Arc<Mutex<Slot>>,
    batches: usize,
}

/// Where the loader is.
enum Slot {
    Idle(Loader),
    /// A network has it.
    Lent,
    /// Gone, or to be dropped by the network that has it.
    Closed,
}

/// A loader on loan; dropping this gives it back.
pub struct Lease {
    slot: Arc<Mutex<Slot>>,
    loader: Option<Loader>,
}

/// The JSON of a sampler.
#[derive(Deserialize)]
#[serde(untagged)]
enum SamplerOption {
    Named(Order),
    Weighted { weighted: Vec<f64> },
    Balanced { identities: usize, images: usize },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Order {
    Sequential,
    Shuffle,
}

impl SamplerOption {
    fn parse(json: &str) -> Result<Self, Failure> {
        let expected = "JSON of 'sequential', 'shuffle', { weighted } or { identities, images }";
        serde_json::from_str(json).map_err(|_| wrong("options.sampler", expected, json))
    }

    fn open(self, dataset: &dyn Dataset, seed: u64) -> Result<Arc<dyn Sampler>, Failure> {
        let len = dataset.len();
        Ok(match self {
            Self::Named(Order::Sequential) => Arc::new(Sequential::new(len)),
            Self::Named(Order::Shuffle) => Arc::new(Shuffle::new(len, seed)),
            Self::Weighted { weighted } if weighted.len() != len => {
                let expected = format!("{len}, one for each sample");
                return Err(wrong("options.sampler: weights", &expected, &weighted.len().to_string()));
            }
            Self::Weighted { weighted } => Arc::new(Weighted::new(&weighted, len, seed)?),
            Self::Balanced { identities, images } => {
                Arc::new(Balanced::new(&dataset.labels(), identities, images, seed)?)
            }
        })
    }
}

#[napi]
impl NativeLoader {
    /// Starts the threads.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: &Env,
        #[napi(ts_arg_type = "NativeDataset")] dataset: Unknown,
        #[napi(
            ts_arg_type = "{ batchSize: number; sampler: string; seed: number; dropLast: boolean; workers?: number; crop?: { padding: number; fill?: number }; flip?: boolean; state?: string }"
        )]
        options: Unknown,
    ) -> napi::Result<Self> {
        call(env, || {
            let dataset = ClassInstance::<NativeDataset>::from_unknown(dataset)
                .map_err(|_| wrong("dataset", "a NativeDataset", "something else"))?;
            let dataset = Arc::clone(&dataset.dataset);
            let given = Fields::new(options, "options")?;
            let batch_size = given.required("batchSize", |v, name| argument::count(v, name, MAX_BATCH))?;
            let mut options = LoaderOptions::new(batch_size);
            options.seed = given.required("seed", |v, name| argument::integer(v, name, 0..=MAX_INTEGER))?;
            options.drop_last = given.required("dropLast", argument::boolean)?;
            options.workers =
                given.optional("workers", |v, name| argument::count(v, name, MAX_THREADS))?.unwrap_or(options.workers);
            // Each worker has a batch to fill while one is in use and one is ready.
            options.buffers = options.workers + 2;
            options.augment.extend(given.optional("crop", crop)?);
            if given.optional("flip", argument::boolean)? == Some(true) {
                options.augment.push(Augmentation::HorizontalFlip { probability: 0.5 });
            }
            let sampler = SamplerOption::parse(&given.required("sampler", argument::text)?)?;
            let sampler = sampler.open(&*dataset, options.seed)?;
            let state = match given.optional("state", argument::text)? {
                None => SamplerState::default(),
                Some(json) => serde_json::from_str(&json)
                    .map_err(|_| wrong("options.state", "what NativeLoader.state gave", &json))?,
            };
            let loader = Loader::new(dataset, sampler, options, state)?;
            let batches = loader.batches_per_epoch();
            Ok(Self { slot: Arc::new(Mutex::new(Slot::Idle(loader))), batches })
        })
    }

    /// The position after the batches that were handed out, as JSON.
    #[napi(catch_unwind)]
    pub fn state(&self, env: &Env) -> napi::Result<String> {
        call(env, || match &*lock(&self.slot) {
            Slot::Idle(loader) => {
                serde_json::to_string(&loader.state()).map_err(|e| Failure::new(Code::Internal, e.to_string()))
            }
            Slot::Lent => Err(busy()),
            Slot::Closed => Err(closed()),
        })
    }

    /// How many batches an epoch has.
    #[napi(getter, catch_unwind)]
    pub fn batches(&self) -> u32 {
        self.batches as u32
    }

    /// Ends the threads; a network that is using the loader ends its call first.
    #[napi(catch_unwind)]
    pub fn close(&self, env: &Env) -> napi::Result<()> {
        call(env, || self.end())
    }
}

impl NativeLoader {
    /// Lends the loader to a call.
    pub(crate) fn lend(&self) -> Result<Lease, Failure> {
        let mut slot = lock(&self.slot);
        match std::mem::replace(&mut *slot, Slot::Lent) {
            Slot::Idle(loader) => Ok(Lease { slot: Arc::clone(&self.slot), loader: Some(loader) }),
            Slot::Lent => Err(busy()),
            Slot::Closed => {
                *slot = Slot::Closed;
                Err(closed())
            }
        }
    }

    fn end(&self) -> Result<(), Failure> {
        match std::mem::replace(&mut *lock(&self.slot), Slot::Closed) {
            Slot::Idle(loader) => drop_aside(loader),
            Slot::Lent | Slot::Closed => Ok(()),
        }
    }
}

impl ObjectFinalize for NativeLoader {
    fn finalize(self, env: Env) -> napi::Result<()> {
        self.end().map_err(|failure| failure.into_error(&env))
    }
}

impl Lease {
    pub fn loader(&mut self) -> Result<&mut Loader, Failure> {
        self.loader.as_mut().ok_or_else(closed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut slot = lock(&self.slot);
        if matches!(*slot, Slot::Lent)
            && let Some(loader) = self.loader.take()
        {
            *slot = Slot::Idle(loader);
        }
        // The loader of one that was closed meanwhile goes with the lease, on the network's thread.
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn busy() -> Failure {
    Failure::new(Code::Busy, "the loader is in use by a call that has not ended")
}

fn closed() -> Failure {
    Failure::new(Code::Disposed, "the loader was closed")
}

/// Drops a loader on a thread of its own: it waits for its workers, which end after the image that each is at.
fn drop_aside(loader: Loader) -> Result<(), Failure> {
    let spawned = thread::Builder::new().name("loader-end".to_owned()).spawn(move || drop(loader));
    spawned.map(drop).map_err(|e| Failure::new(Code::Device, format!("a thread to end the loader on: {e}")))
}

fn crop(value: Unknown, name: &str) -> Result<Augmentation, Failure> {
    let given = Fields::new(value, name)?;
    let padding = given.required("padding", |v, name| argument::integer(v, name, 0..=u64::from(u16::MAX)))?;
    let fill = given.optional("fill", |v, name| argument::integer(v, name, 0..=255))?.unwrap_or(0);
    Ok(Augmentation::RandomCrop { padding: padding as usize, fill: fill as u8 })
}
