//! What the garbage collector is told of memory that it does not see.

use std::sync::{Mutex, MutexGuard, PoisonError};

use napi::Env;

/// The bytes that one object was reported to hold: told once when they come and once when they go. Used on the main thread alone.
pub struct Account {
    /// Nothing once it is closed.
    reported: Mutex<Option<i64>>,
}

impl Account {
    pub const fn new() -> Self {
        Self { reported: Mutex::new(Some(0)) }
    }

    /// Reports what the object holds now.
    pub fn report(&self, env: &Env, bytes: usize) -> napi::Result<()> {
        let mut reported = self.lock();
        let now = i64::try_from(bytes).unwrap_or(i64::MAX);
        if let Some(before) = *reported
            && before != now
        {
            env.adjust_external_memory(now - before)?;
            *reported = Some(now);
        }
        Ok(())
    }

    /// Reports, for good, that the object holds nothing any more.
    pub fn close(&self, env: &Env) -> napi::Result<()> {
        if let Some(before) = self.lock().take().filter(|&before| before != 0) {
            env.adjust_external_memory(-before)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<i64>> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
