//! Promises that other threads settle.

use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::{Env, JsDeferred};

use crate::error::{Failure, call, guard};

/// The other end of a promise of a `D`.
pub struct Deferred<D: ToNapiValue>(JsDeferred<D, Resolver<D>>);

type Resolver<D> = Box<dyn FnOnce(Env) -> napi::Result<D>>;

/// A promise: `prepare` takes the arguments, `start` sends what it gave to where the promise is settled. When either fails, the promise is rejected;
/// what a getter of an argument threw is thrown at once, for Node holds it ready to be.
pub fn promise<W, D: ToNapiValue + 'static>(
    env: &Env,
    prepare: impl FnOnce() -> Result<W, Failure>,
    start: impl FnOnce(W, Deferred<D>) -> Result<(), Failure>,
) -> napi::Result<Object<'_>> {
    let work = match guard(prepare) {
        Err(Failure::Thrown(error)) => return Err(error),
        work => work,
    };
    let (deferred, promise) = env.create_deferred()?;
    let refuse = deferred.clone();
    if let Err(failure) = work.and_then(|work| guard(|| start(work, Deferred(deferred)))) {
        refuse.resolve(Box::new(move |env| Err(failure.into_error(&env))));
    }
    Ok(promise)
}

impl<D: ToNapiValue + 'static> Deferred<D> {
    /// Settles the promise from any thread; `convert` runs on the main thread.
    pub fn settle<T: Send + 'static>(
        self,
        result: Result<T, Failure>,
        convert: impl FnOnce(&Env, T) -> Result<D, Failure> + Send + 'static,
    ) {
        self.0.resolve(Box::new(move |env| call(&env, || convert(&env, result?))));
    }
}
