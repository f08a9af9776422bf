//! Frozen networks.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use binary_nets_cpu::{Cpu, Isa};
use binary_nets_formats::model::{Metadata, Model, Normalize};
use binary_nets_formats::onnx::Form;
use binary_nets_graph::Graph;
use binary_nets_graph::passes::fusion_report;
use binary_nets_network::{Floats, FrozenNetwork, Network};
use napi::Env;
use napi::bindgen_prelude::{
    ClassInstance, FromNapiValue, Object, ObjectFinalize, ToNapiValue, Uint8ArraySlice, Unknown,
};
use napi_derive::napi;

use crate::account::Account;
use crate::argument::{self, Fields, wrong};
use crate::error::{Code, Failure, call, guard};
use crate::loader::MAX_THREADS;
use crate::network::{MAX_REPEATS, NativeNetwork, choice, lease};
use crate::promise::promise;
use crate::queue::Queue;
use crate::source::Source;
use crate::value::{NativeConstant, NativeCounts, NativeTensor};

/// A network that only predicts, and the thread that it lives on. Calls line up.
#[napi(custom_finalize)]
pub struct NativeFrozenNetwork {
    queue: Queue,
    account: Arc<Account>,
    model: Arc<Model>,
    fused: Graph,
    isa: &'static str,
    threads: usize,
}

#[napi]
impl NativeFrozenNetwork {
    /// A network as it is when this is called, frozen. `metadata` is JSON, `{}` where nothing is known. Threads and instruction set are those of the network where none
    /// are named. With a `calibration`, an epoch of images, products of float maps become integers of 8 bits.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeFrozenNetwork>")]
    pub fn freeze<'env>(
        env: &'env Env,
        #[napi(ts_arg_type = "NativeNetwork")] network: Unknown,
        #[napi(
            ts_arg_type = "{ floats: 'f32' | 'f16' | 'int8'; calibration?: NativeLoader; threads?: number; isa?: string }"
        )]
        options: Unknown,
        #[napi(ts_arg_type = "string")] metadata: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let source = ClassInstance::<NativeNetwork>::from_unknown(network)
                .map_err(|_| wrong("network", "a NativeNetwork", "something else"))?;
            source.worker.check()?;
            let given = Fields::new(options, "options")?;
            let floats = given.required("floats", floats)?;
            let mut images = given.optional("calibration", |value, _| lease(value))?;
            let isa = given.optional("isa", argument::text)?;
            let isa = Isa::from_name(isa.as_deref().unwrap_or(source.isa))?;
            let threads = given.optional("threads", |value, name| argument::count(value, name, MAX_THREADS))?;
            let threads = threads.unwrap_or(source.threads);
            let metadata: Metadata = serde_json::from_str(&argument::text(metadata, "metadata")?)
                .map_err(|e| Failure::new(Code::Argument, format!("metadata: {e}")))?;
            let work = move |network: &mut Network<Cpu>| {
                let model = match &mut images {
                    None => network.freeze(floats, metadata)?,
                    Some(images) => network.freeze_int8(floats, images.loader()?, metadata)?,
                };
                Ok(FrozenNetwork::new(Cpu::new(Some(threads), isa)?, model)?)
            };
            Ok((source, work))
        };
        promise(env, prepare, |(source, work), deferred| {
            source.worker.run(work, move |result| deferred.settle(result, Self::new))
        })
    }

    /// A frozen network from a packed file or from its bytes.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeFrozenNetwork>")]
    pub fn load<'env>(
        env: &'env Env,
        #[napi(ts_arg_type = "string | Uint8Array")] source: Unknown,
        #[napi(ts_arg_type = "{ threads?: number; isa?: string }")] options: Unknown,
    ) -> napi::Result<Object<'env>> {
        Self::make(env, || {
            let source = Source::new(source, "source")?;
            let (isa, threads) = choice(&Fields::new(options, "options")?)?;
            Ok(move || {
                let backend = Cpu::new(threads, isa)?;
                Ok(match source {
                    Source::File(path) => FrozenNetwork::open(backend, &path)?,
                    Source::Bytes(bytes) => FrozenNetwork::from_bytes(backend, &bytes)?,
                })
            })
        })
    }

    /// A frozen network from an ONNX file or from its bytes. `normalize` is JSON, `{ mean, std }`: how pixels are normalised where the graph takes
    /// floats and the file does not say.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeFrozenNetwork>")]
    pub fn import_onnx<'env>(
        env: &'env Env,
        #[napi(ts_arg_type = "string | Uint8Array")] source: Unknown,
        #[napi(ts_arg_type = "{ threads?: number; isa?: string; normalize?: string }")] options: Unknown,
    ) -> napi::Result<Object<'env>> {
        Self::make(env, || {
            let source = Source::new(source, "source")?;
            let given = Fields::new(options, "options")?;
            let (isa, threads) = choice(&given)?;
            let normalize = given.optional("normalize", argument::text)?;
            let normalize: Option<Normalize> = serde_json::from_str(normalize.as_deref().unwrap_or("null"))
                .map_err(|e| Failure::new(Code::Argument, format!("normalize: {e}")))?;
            Ok(move || {
                let backend = Cpu::new(threads, isa)?;
                Ok(match source {
                    Source::File(path) => FrozenNetwork::import_onnx(backend, &path, normalize)?,
                    Source::Bytes(bytes) => FrozenNetwork::import_onnx_bytes(backend, &bytes, normalize)?,
                })
            })
        })
    }

    /// Writes a packed file; the number of its bytes.
    #[napi(catch_unwind, ts_return_type = "Promise<number>")]
    pub fn save<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "string")] path: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let path = PathBuf::from(argument::text(path, "path")?);
            Ok(move |network: &mut FrozenNetwork<Cpu>| Ok(network.save(&path)?))
        };
        self.long(env, prepare, |_, bytes| Ok(bytes as f64))
    }

    /// The bytes of a packed file.
    #[napi(catch_unwind, ts_return_type = "Promise<Uint8Array>")]
    pub fn to_bytes<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let prepare = || Ok(|network: &mut FrozenNetwork<Cpu>| Ok(network.to_bytes()?));
        self.long(env, prepare, |env, bytes| Ok(Uint8ArraySlice::copy_from(env, bytes)?))
    }

    /// Writes an ONNX file; the number of its bytes.
    #[napi(catch_unwind, ts_return_type = "Promise<number>")]
    pub fn export_onnx<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "string")] path: Unknown,
        #[napi(ts_arg_type = "'portable' | 'compact'")] form: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let path = PathBuf::from(argument::text(path, "path")?);
            let form = match argument::text(form, "form")?.as_str() {
                "portable" => Form::Portable,
                "compact" => Form::Compact,
                other => return Err(wrong("form", "'portable' or 'compact'", &format!("'{other}'"))),
            };
            Ok(move |network: &mut FrozenNetwork<Cpu>| Ok(network.export_onnx(&path, form)?))
        };
        self.long(env, prepare, |_, bytes| Ok(bytes as f64))
    }

    /// What is known of it besides its graph, as JSON.
    #[napi(getter, catch_unwind)]
    pub fn metadata(&self, env: &Env) -> napi::Result<String> {
        call(env, || {
            serde_json::to_string(&self.model.metadata).map_err(|e| Failure::new(Code::Internal, e.to_string()))
        })
    }

    /// Its graph, as JSON.
    #[napi(getter, catch_unwind)]
    pub fn spec(&self, env: &Env) -> napi::Result<String> {
        call(env, || Ok(self.model.graph.to_json()?))
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
    pub fn kernels(&self) -> String {
        self.queue.status().kernels()
    }

    /// Its tensors, in the order of a file.
    #[napi(catch_unwind)]
    pub fn tensors(&self) -> Vec<NativeConstant> {
        self.model.constants.iter().map(NativeConstant::new).collect()
    }

    /// What runs in one pass over memory and what each pass writes, as JSON.
    #[napi(catch_unwind)]
    pub fn report(&self, env: &Env) -> napi::Result<String> {
        call(env, || {
            let rows = fusion_report(&self.fused);
            serde_json::to_string(&rows).map_err(|e| Failure::new(Code::Internal, e.to_string()))
        })
    }

    /// Its graph for one image, as text: as it is stored, or as it runs.
    #[napi(catch_unwind)]
    pub fn dump(&self, env: &Env, #[napi(ts_arg_type = "'frozen' | 'fused'")] what: Unknown) -> napi::Result<String> {
        call(env, || match argument::text(what, "what")?.as_str() {
            "frozen" => Ok(self.model.graph.graph(1, &[])?.dump()),
            "fused" => Ok(self.fused.dump()),
            other => Err(wrong("what", "'frozen' or 'fused'", &format!("'{other}'"))),
        })
    }

    /// Outputs or layers for images `[count, h, w, c]`.
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
            Ok(move |network: &mut FrozenNetwork<Cpu>| {
                let names: Vec<&str> = outputs.iter().map(String::as_str).collect();
                Ok(network.predict(&images, count, &names)?)
            })
        };
        self.long(env, prepare, NativeTensor::named)
    }

    /// The times of the steps that yield the outputs for the pixels `[h, w, c]` of an image, each the best of several runs, as JSON: rows of
    /// `{ path, kind, op, fused, writes, kernel, seconds, macs, bytes, peak }`.
    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn profile<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "Uint8Array")] image: Unknown,
        #[napi(ts_arg_type = "number")] repeats: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let image: Vec<u8> = argument::array(image, "image")?;
            let repeats = argument::positive(repeats, "repeats", MAX_REPEATS)?;
            Ok(move |network: &mut FrozenNetwork<Cpu>| {
                let times = network.profile(&image, repeats)?;
                serde_json::to_string(&times).map_err(|e| Failure::new(Code::Internal, e.to_string()))
            })
        };
        self.long(env, prepare, |_, times| Ok(times))
    }

    /// Counts which classes it takes for which, over one epoch of a loader. `labels` says which logit each of the data's classes has.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeCounts>")]
    pub fn evaluate<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "NativeLoader")] loader: Unknown,
        #[napi(ts_arg_type = "Uint32Array")] labels: Unknown,
    ) -> napi::Result<Object<'env>> {
        let prepare = || {
            let mut lease = lease(loader)?;
            let labels: Vec<u32> = argument::array(labels, "labels")?;
            let evaluate = move |network: &mut FrozenNetwork<Cpu>| {
                Ok(NativeCounts::new(network.evaluate(lease.loader()?, Some(&labels))?))
            };
            Ok(evaluate)
        };
        self.long(env, prepare, |_, counts| Ok(counts))
    }

    /// Cancels the running call, refuses those behind it, and frees everything when it has ended.
    #[napi(catch_unwind)]
    pub fn dispose(&self, env: &Env) -> napi::Result<()> {
        self.queue.close();
        self.account.close(env)
    }
}

impl NativeFrozenNetwork {
    fn new(env: &Env, network: FrozenNetwork<Cpu>) -> Result<Self, Failure> {
        let (model, fused) = (Arc::clone(network.model()), network.fused()?);
        let (isa, threads) = (network.backend().isa().name(), network.backend().threads());
        let queue = Queue::new(network)?;
        let account = Arc::new(Account::new());
        account.report(env, queue.status().bytes())?;
        Ok(Self { queue, account, model, fused, isa, threads })
    }

    /// A frozen network that is made on a thread of its own: `prepare` takes the arguments here, what it returns works there.
    fn make<W>(env: &Env, prepare: impl FnOnce() -> Result<W, Failure>) -> napi::Result<Object<'_>>
    where
        W: FnOnce() -> Result<FrozenNetwork<Cpu>, Failure> + Send + 'static,
    {
        promise(env, prepare, |work, deferred| {
            let make = move || deferred.settle(guard(work), Self::new);
            let spawned = thread::Builder::new().name("frozen-network-make".to_owned()).spawn(make);
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
        W: FnOnce(&mut FrozenNetwork<Cpu>) -> Result<T, Failure> + Send + 'static,
    {
        let (account, status) = (Arc::clone(&self.account), Arc::clone(self.queue.status()));
        let convert = move |env: &Env, result: T| {
            account.report(env, status.bytes())?;
            convert(env, result)
        };
        let prepare = || {
            self.queue.check()?;
            prepare()
        };
        promise(env, prepare, |work, deferred| self.queue.run(work, move |result| deferred.settle(result, convert)))
    }
}

impl ObjectFinalize for NativeFrozenNetwork {
    fn finalize(self, env: Env) -> napi::Result<()> {
        // A call that is still running goes on: its promise may be awaited. The worker frees the network behind it.
        self.account.close(&env)
    }
}

/// How weights of float products are kept.
fn floats(value: Unknown, name: &str) -> Result<Floats, Failure> {
    match argument::text(value, name)?.as_str() {
        "f32" => Ok(Floats::F32),
        "f16" => Ok(Floats::F16),
        "int8" => Ok(Floats::Int8),
        other => Err(wrong(name, "'f32', 'f16' or 'int8'", &format!("'{other}'"))),
    }
}
