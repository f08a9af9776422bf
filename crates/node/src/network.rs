//! Networks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use binary_nets_cpu::{Cpu, Isa};
use binary_nets_graph::passes::Update;
use binary_nets_graph::spec::GraphSpec;
use binary_nets_network::{LoadOptions, Network, TensorView, TrainingOptions};
use napi::Env;
use napi::bindgen_prelude::{
    ClassInstance, Float32ArraySlice, FromNapiValue, Object, ObjectFinalize, ToNapiValue, Uint8ArraySlice, Unknown,
};
use napi_derive::napi;

use crate::account::Account;
use crate::argument::{self, Fields, MAX_INTEGER, wrong};
use crate::error::{Code, Failure, call, guard};
use crate::exclusive::Exclusive;
use crate::loader::{Lease, MAX_BATCH, MAX_THREADS, NativeLoader};
use crate::promise::promise;
use crate::value::{
    NativeConfusion, NativeEvaluation, NativeFlips, NativeLoadReport, NativeParameter, NativeStep, NativeTensor,
    Tensor, dump,
};

/// The most runs that a profile takes the best of.
pub const MAX_REPEATS: u64 = 10_000;

/// State and programs of a network, and the thread they live on.
#[napi(custom_finalize)]
pub struct NativeNetwork {
    pub(crate) worker: Exclusive,
    account: Arc<Account>,
    spec: String,
    pub(crate) isa: &'static str,
    pub(crate) threads: usize,
}

#[napi]
impl NativeNetwork {
    /// A network with fresh states.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeNetwork>")]
    pub fn create<'env>(
        env: &'env Env,
        #[napi(ts_arg_type = "string")] spec: Unknown,
        #[napi(ts_arg_type = "{ seed: number; threads?: number; isa?: string }")] options: Unknown,
    ) -> napi::Result<Object<'env>> {
        Self::make(env, || {
            let spec = GraphSpec::parse(&argument::text(spec, "spec")?)?;
            let given = Fields::new(options, "options")?;
            let seed = given.required("seed", |value, name| argument::integer(value, name, 0..=MAX_INTEGER))?;
            let (isa, threads) = choice(&given)?;
            Ok(move || Ok((Network::new(Cpu::new(threads, isa)?, spec, seed)?, String::new())))
        })
    }

    /// A network from a file.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeNetwork>")]
    pub fn load<'env>(
        env: &'env Env,
        #[napi(ts_arg_type = "string")] path: Unknown,
        #[napi(ts_arg_type = "{ threads?: number; isa?: string }")] options: Unknown,
    ) -> napi::Result<Object<'env>> {
        Self::make(env, || {
            let path = PathBuf::from(argument::text(path, "path")?);
            let (isa, threads) = choice(&Fields::new(options, "options")?)?;
            Ok(move || Ok(Network::open(Cpu::new(threads, isa)?, &path)?))
        })
    }

    /// Writes everything that training resumes from.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn save<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "string")] path: Unknown,
        #[napi(ts_arg_type = "string")] metadata: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let path = argument::text(path, "path")?;
            let metadata = argument::text(metadata, "metadata")?;
            let status = Arc::clone(self.worker.status());
            Ok(move |network: &mut Network<Cpu>| {
                network.save(Path::new(&path), &metadata)?;
                *status.metadata() = metadata;
                Ok(())
            })
        };
        self.long(env, prepare, |_, ()| Ok(()))
    }

    /// Replaces parameters and running statistics by those of another file.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeLoadReport>")]
    pub fn load_weights<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "string")] path: Unknown,
        #[napi(ts_arg_type = "{ partial?: boolean; symmetric?: boolean; noise?: number; seed?: number }")]
        options: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let path = PathBuf::from(argument::text(path, "path")?);
            let given = Fields::new(options, "options")?;
            let default = LoadOptions::default();
            let options = LoadOptions {
                partial: given.optional("partial", argument::boolean)?.unwrap_or(default.partial),
                symmetric: given.optional("symmetric", argument::boolean)?.unwrap_or(default.symmetric),
                noise: given.optional("noise", argument::number)?.unwrap_or(default.noise),
                seed: given.optional("seed", |value, name| argument::integer(value, name, 0..=MAX_INTEGER))?,
            };
            Ok(move |network: &mut Network<Cpu>| Ok(network.load_weights(&path, &options)?))
        };
        self.long(env, prepare, |_, report| Ok(NativeLoadReport::new(report)))
    }

    /// Writes parameters and running statistics as safetensors.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn save_weights<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "string")] path: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let path = PathBuf::from(argument::text(path, "path")?);
            Ok(move |network: &mut Network<Cpu>| Ok(network.save_weights(&path)?))
        };
        self.long(env, prepare, |_, ()| Ok(()))
    }

    /// What was kept beside the network in its file; empty without one.
    #[napi(getter, catch_unwind)]
    pub fn metadata(&self) -> String {
        self.worker.status().metadata().clone()
    }

    /// The spec that the network was made from.
    #[napi(getter, catch_unwind)]
    pub fn spec(&self) -> String {
        self.spec.clone()
    }

    /// The instruction set.
    #[napi(getter, catch_unwind)]
    pub fn isa(&self) -> String {
        self.isa.to_owned()
    }

    /// The number of threads.
    #[napi(getter, catch_unwind)]
    pub fn threads(&self) -> u32 {
        self.threads as u32
    }

    /// The kernels that were chosen so far, one a line: `op: kernel`.
    #[napi(getter, catch_unwind)]
    pub fn kernels(&self, env: &Env) -> napi::Result<String> {
        call(env, || self.worker.ask(|network| Ok(network.kernels().join("\n"))))
    }

    /// Updates made so far.
    #[napi(getter, catch_unwind)]
    pub fn step(&self) -> f64 {
        self.worker.status().step() as f64
    }

    /// The rows of the summary table, as JSON.
    #[napi(catch_unwind)]
    pub fn summary(&self, env: &Env) -> napi::Result<String> {
        call(env, || {
            let rows = self.worker.ask(|network| Ok(network.summary()?))?;
            serde_json::to_string(&rows).map_err(|e| Failure::new(Code::Internal, e.to_string()))
        })
    }

    /// Every state but the optimizers' moments.
    #[napi(catch_unwind)]
    pub fn parameters(&self, env: &Env) -> napi::Result<Vec<NativeParameter>> {
        call(env, || self.worker.ask(|network| Ok(network.states().map(NativeParameter::new).collect())))
    }

    /// A copy of a state.
    #[napi(catch_unwind, ts_return_type = "Float32Array")]
    pub fn get_state(
        &self,
        env: &Env,
        #[napi(ts_arg_type = "string")] path: Unknown,
    ) -> napi::Result<Float32ArraySlice<'static>> {
        call(env, || {
            let path = argument::text(path, "path")?;
            let values = self.worker.ask(move |network| Ok(network.state(&path)?))?;
            Ok(Float32ArraySlice::copy_from(env, values)?)
        })
    }

    /// Replaces a state.
    #[napi(catch_unwind)]
    pub fn set_state(
        &self,
        env: &Env,
        #[napi(ts_arg_type = "string")] path: Unknown,
        #[napi(ts_arg_type = "Float32Array")] data: Unknown,
    ) -> napi::Result<()> {
        call(env, || {
            let path = argument::text(path, "path")?;
            let data: Vec<f32> = argument::array(data, "data")?;
            self.worker.ask(move |network| Ok(network.set_state(&path, &data)?))
        })
    }

    /// Lets the optimizers, accumulated gradients and averages start afresh.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn reset_moments<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.long(env, || Ok(|network: &mut Network<Cpu>| Ok(network.reset_moments()?)), |_, ()| Ok(()))
    }

    /// Exchanges parameters and running statistics with their averages.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn swap_averages<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.long(env, || Ok(|network: &mut Network<Cpu>| Ok(network.swap_averages()?)), |_, ()| Ok(()))
    }

    /// The signs of all latent weights, one bit each.
    #[napi(catch_unwind, ts_return_type = "Promise<Uint8Array>")]
    pub fn signs<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let work = |network: &mut Network<Cpu>| {
            Ok(network.signs()?.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>())
        };
        self.long(env, || Ok(work), |env, bytes| Ok(Uint8ArraySlice::copy_from(env, bytes)?))
    }

    /// How many latent weights have another sign than in what `signs` gave before.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeFlips>")]
    pub fn flipped_signs<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "Uint8Array")] before: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let bytes: Vec<u8> = argument::array(before, "before")?;
            let words: Vec<u64> = bytes.as_chunks().0.iter().map(|&word| u64::from_le_bytes(word)).collect();
            Ok(move |network: &mut Network<Cpu>| Ok(network.flipped_signs(&words)?))
        };
        self.long(env, prepare, |_, flips| Ok(NativeFlips::new(flips)))
    }

    /// A graph as text.
    #[napi(catch_unwind)]
    pub fn dump(
        &self,
        env: &Env,
        #[napi(ts_arg_type = "'model' | 'training' | 'evaluation' | 'calibration' | 'frozen' | 'fold' | 'fused'")] what: Unknown,
        #[napi(ts_arg_type = "number")] batch: Unknown,
    ) -> napi::Result<String> {
        call(env, || {
            let what = dump(&argument::text(what, "what")?)?;
            let batch = argument::count(batch, "batch", MAX_BATCH)?;
            self.worker.ask(move |network| Ok(network.dump(what, batch)?))
        })
    }

    /// Compiles the training step; `options` is JSON, `{ "accumulate": 1, "clip_norm": null, "average": null, "gradients": "f32", "slopes": "f32", "memory": "balanced" }`
    /// where nothing is said.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn compile_training<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "string")] objective: Unknown,
        #[napi(ts_arg_type = "string")] updates: Unknown,
        #[napi(ts_arg_type = "number")] batch_size: Unknown,
        #[napi(ts_arg_type = "string")] options: Option<Unknown>,
    ) -> napi::Result<Object<'env>> {
        let step = || Step::new(objective, updates, batch_size, options);
        self.with_step(env, step, |network, Step { objective, updates, batch, options }| {
            Ok(network.compile_training(&objective, &updates, batch, &options)?)
        })
    }

    /// What the step that `compileTraining` would compile takes, as JSON.
    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn plan_training<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "string")] objective: Unknown,
        #[napi(ts_arg_type = "string")] updates: Unknown,
        #[napi(ts_arg_type = "number")] batch_size: Unknown,
        #[napi(ts_arg_type = "string")] options: Option<Unknown>,
    ) -> napi::Result<Object<'env>> {
        let step = || Step::new(objective, updates, batch_size, options);
        self.with_step(env, step, |network, Step { objective, updates, batch, options }| {
            let plan = network.plan_training(&objective, &updates, batch, &options)?;
            serde_json::to_string(&plan).map_err(|e| Failure::new(Code::Internal, e.to_string()))
        })
    }

    /// Makes one step on the next batch of a loader; null at the end of its epoch.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeStep | null>")]
    pub fn train_step<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "NativeLoader")] loader: Unknown,
        #[napi(ts_arg_type = "Record<string, number>")] scalars: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let scalars = Fields::new(scalars, "scalars")?.each(argument::number)?;
            let mut lease = lease(loader)?;
            Ok(move |network: &mut Network<Cpu>| {
                let start = Instant::now();
                let loader = lease.loader()?;
                let before = loader.waited();
                let report = network.train_next(loader, &named(&scalars))?;
                Ok(report.map(|report| NativeStep::new(report, start, loader.waited().saturating_sub(before))))
            })
        };
        self.long(env, prepare, |_, step| Ok(step))
    }

    /// Makes one step on tensors of a batch.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeStep>")]
    pub fn train_batch<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "Record<string, Uint8Array | Uint32Array | Float32Array>")] batch: Unknown,
        #[napi(ts_arg_type = "Record<string, number>")] scalars: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let batch = Fields::new(batch, "batch")?.each(Tensor::new)?;
            let scalars = Fields::new(scalars, "scalars")?.each(argument::number)?;
            Ok(move |network: &mut Network<Cpu>| {
                let start = Instant::now();
                let report = network.train_step(&views(&batch), &named(&scalars))?;
                Ok(NativeStep::new(report, start, Duration::ZERO))
            })
        };
        self.long(env, prepare, |_, step| Ok(step))
    }

    /// Evaluates one epoch of a loader with the frozen network.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeEvaluation>")]
    pub fn evaluate<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "NativeLoader")] loader: Unknown,
        #[napi(ts_arg_type = "string")] objective: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let objective = GraphSpec::parse(&argument::text(objective, "objective")?)?;
            let mut lease = lease(loader)?;
            Ok(move |network: &mut Network<Cpu>| {
                Ok(NativeEvaluation::new(network.evaluate(lease.loader()?, &objective)?))
            })
        };
        self.long(env, prepare, |_, evaluation| Ok(evaluation))
    }

    /// Counts which classes the frozen network takes for which, over one epoch of a loader.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeConfusion>")]
    pub fn confusion<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "NativeLoader")] loader: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let mut lease = lease(loader)?;
            Ok(move |network: &mut Network<Cpu>| Ok(NativeConfusion::new(network.confusion(lease.loader()?)?)))
        };
        self.long(env, prepare, |_, confusion| Ok(confusion))
    }

    /// Gives the network a teacher, which is a copy of another network as it is when this is called; null takes it away.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn set_teacher<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "NativeNetwork | null")] teacher: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let snapshot = if argument::is_absent(teacher)? {
                None
            } else {
                let teacher = ClassInstance::<Self>::from_unknown(teacher)
                    .map_err(|_| wrong("teacher", "a NativeNetwork or null", "something else"))?;
                Some(teacher.worker.ask(|network| Ok(network.snapshot()?))?)
            };
            Ok(move |network: &mut Network<Cpu>| {
                let copy = |snapshot| Network::from_snapshot(network.backend().clone(), snapshot);
                let teacher = snapshot.map(copy).transpose()?;
                Ok(network.set_teacher(teacher)?)
            })
        };
        self.long(env, prepare, |_, ()| Ok(()))
    }

    /// The times of the compiled training step's ops, each the best of several runs, on the batch of the last update, as JSON `[{ part, op, path, kernel, seconds }]`.
    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn profile_step<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "number")] repeats: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let repeats = argument::positive(repeats, "repeats", MAX_REPEATS)?;
            Ok(move |network: &mut Network<Cpu>| {
                let times = network.profile_step(repeats)?;
                serde_json::to_string(&times).map_err(|e| Failure::new(Code::Internal, e.to_string()))
            })
        };
        self.long(env, prepare, |_, times| Ok(times))
    }

    /// Outputs or layers of the frozen network for images `[count, h, w, c]`.
    #[napi(catch_unwind, ts_return_type = "Promise<Record<string, NativeTensor>>")]
    pub fn predict<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "Uint8Array")] images: Unknown,
        #[napi(ts_arg_type = "number")] count: Unknown,
        #[napi(ts_arg_type = "string[]")] outputs: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let count = argument::count(count, "count", u64::from(u32::MAX))?;
            let outputs = argument::texts(outputs, "outputs")?;
            let images: Vec<u8> = argument::array(images, "images")?;
            Ok(move |network: &mut Network<Cpu>| {
                let names: Vec<&str> = outputs.iter().map(String::as_str).collect();
                Ok(network.predict(&images, count, &names)?)
            })
        };
        self.long(env, prepare, NativeTensor::named)
    }

    /// Estimates running statistics anew.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn recalibrate<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "NativeLoader")] loader: Unknown,
        #[napi(ts_arg_type = "number")] batches: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let batches = argument::count(batches, "batches", MAX_INTEGER)?;
            let mut lease = lease(loader)?;
            Ok(move |network: &mut Network<Cpu>| {
                network.recalibrate(lease.loader()?, batches)?;
                Ok(())
            })
        };
        self.long(env, prepare, |_, ()| Ok(()))
    }

    /// Makes the running call fail before it changes any state.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.worker.cancel();
    }

    /// Cancels the running call and frees everything when it has ended.
    #[napi(catch_unwind)]
    pub fn dispose(&self, env: &Env) -> napi::Result<()> {
        self.worker.cancel();
        self.worker.close();
        self.account.close(env)
    }
}

impl NativeNetwork {
    fn new(env: &Env, network: Network<Cpu>, metadata: String) -> Result<Self, Failure> {
        let spec = network.spec().to_json()?;
        let (isa, threads) = (network.backend().isa().name(), network.backend().threads());
        let worker = Exclusive::new(network, metadata)?;
        let account = Arc::new(Account::new());
        account.report(env, worker.status().bytes())?;
        Ok(Self { worker, account, spec, isa, threads })
    }

    /// A network, with what its file has beside it, that is made on a thread of its own: `prepare` takes the arguments here, what it returns works there.
    fn make<W>(env: &Env, prepare: impl FnOnce() -> Result<W, Failure>) -> napi::Result<Object<'_>>
    where
        W: FnOnce() -> Result<(Network<Cpu>, String), Failure> + Send + 'static,
    {
        promise(env, prepare, |work, deferred| {
            let make = move || {
                deferred.settle(guard(work), |env, (network, metadata)| Self::new(env, network, metadata));
            };
            let spawned = thread::Builder::new().name("network-make".to_owned()).spawn(make);
            spawned.map(drop).map_err(|e| Failure::new(Code::Device, format!("a thread to make it on: {e}")))
        })
    }

    /// A call off the main thread: `prepare` takes the arguments here, what it returns works there, `convert` gives the result back here.
    fn long<'env, T: Send + 'static, D: ToNapiValue + 'static, W>(
        &self,
        env: &'env Env,
        prepare: impl FnOnce() -> Result<W, Failure>,
        convert: impl FnOnce(&Env, T) -> Result<D, Failure> + Send + 'static,
    ) -> napi::Result<Object<'env>>
    where
        W: FnOnce(&mut Network<Cpu>) -> Result<T, Failure> + Send + 'static,
    {
        let (account, status) = (Arc::clone(&self.account), Arc::clone(self.worker.status()));
        let convert = move |env: &Env, result: T| {
            account.report(env, status.bytes())?;
            convert(env, result)
        };
        let prepare = || {
            self.worker.check()?;
            prepare()
        };
        promise(env, prepare, |work, deferred| self.worker.run(work, move |result| deferred.settle(result, convert)))
    }

    /// A call off the main thread with a training step: `step` reads it here, `work` works there.
    fn with_step<'env, T: ToNapiValue + Send + 'static>(
        &self,
        env: &'env Env,
        step: impl FnOnce() -> Result<Step, Failure>,
        work: impl FnOnce(&mut Network<Cpu>, Step) -> Result<T, Failure> + Send + 'static,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let step = step()?;
            Ok(move |network: &mut Network<Cpu>| work(network, step))
        };
        self.long(env, prepare, |_, result| Ok(result))
    }
}

impl ObjectFinalize for NativeNetwork {
    fn finalize(self, env: Env) -> napi::Result<()> {
        // A call that is still running goes on: its promise may be awaited. The worker frees the network behind it.
        self.account.close(&env)
    }
}

/// The instruction set, `BINARY_NETS_ISA`'s where none is named, and the number of threads.
pub fn choice(options: &Fields) -> Result<(Isa, Option<usize>), Failure> {
    let isa = match options.optional("isa", argument::text)? {
        Some(name) => Isa::from_name(&name)?,
        None => Isa::from_env()?,
    };
    let threads = options.optional("threads", |value, name| argument::count(value, name, MAX_THREADS))?;
    Ok((isa, threads))
}

/// A loader, lent for a call.
pub fn lease(loader: Unknown) -> Result<Lease, Failure> {
    let loader = ClassInstance::<NativeLoader>::from_unknown(loader)
        .map_err(|_| wrong("loader", "a NativeLoader", "something else"))?;
    loader.lend()
}

fn views(batch: &[(String, Tensor)]) -> Vec<(&str, TensorView<'_>)> {
    batch.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect()
}

fn named(scalars: &[(String, f32)]) -> Vec<(&str, f32)> {
    scalars.iter().map(|(name, value)| (name.as_str(), *value)).collect()
}

/// What a training step is made of.
struct Step {
    objective: GraphSpec,
    updates: Vec<Update>,
    batch: usize,
    options: TrainingOptions,
}

impl Step {
    fn new(
        objective: Unknown,
        updates: Unknown,
        batch_size: Unknown,
        options: Option<Unknown>,
    ) -> Result<Self, Failure> {
        let options = options.map(|options| argument::text(options, "options")).transpose()?;
        Ok(Self {
            objective: GraphSpec::parse(&argument::text(objective, "objective")?)?,
            updates: serde_json::from_str(&argument::text(updates, "updates")?)
                .map_err(|e| Failure::new(Code::Spec, format!("updates: {e}")))?,
            batch: argument::count(batch_size, "batchSize", MAX_BATCH)?,
            options: serde_json::from_str(options.as_deref().unwrap_or("{}"))
                .map_err(|e| Failure::new(Code::Spec, format!("options: {e}")))?,
        })
    }
}
