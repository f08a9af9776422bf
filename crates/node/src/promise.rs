//! Promises that other threads settle.

use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::{Env, JsDeferred};

use crate::error::{Failure, call};

/// The other end of a promise of a `D`.
pub struct Deferred<D: ToNapiValue>(JsDeferred<D, Resolver<D>>);

type Resolver<D> = Box<dyn FnOnce(Env) -> napi::Result<D>>;

impl<D: ToNapiValue> Clone for Deferred<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<D: ToNapiValue + 'static> Deferred<D> {
    /// A promise and its other end.
    pub fn new(env: &Env) -> napi::Result<(Self, Object<'_>)> {
        let (deferred, promise) = env.create_deferred()?;
        Ok((Self(deferred), promise))
    }

    /// Settles the promise from any thread; `convert` runs on the main thread.
    pub fn settle<T: Send + 'static>(
        self,
        result: Result<T, Failure>,
        convert: impl FnOnce(&Env, T) -> Result<D, Failure> + Send + 'static,
    ) {
        self.0.resolve(Box::new(move |env| call(&env, || convert(&env, result?))));
    }

    /// Rejects the promise.
    pub fn reject(self, failure: Failure) {
        self.0.resolve(Box::new(move |env| Err(failure.into_error(&env))));
    }
}
