//! Calls of a network that changes: one at a time, and while it runs every other one is refused.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use binary_nets_cpu::Cpu;
use binary_nets_network::Network;

use crate::error::{Code, Failure, guard};
use crate::worker::Worker;

/// A network on its thread.
pub struct Exclusive {
    worker: Worker<Network<Cpu>>,
    status: Arc<Status>,
}

/// What is known of a network while it runs.
pub struct Status {
    busy: AtomicBool,
    cancel: Arc<AtomicBool>,
    step: AtomicU64,
    bytes: AtomicUsize,
    metadata: Mutex<String>,
}

impl Status {
    /// Updates made so far.
    pub fn step(&self) -> u64 {
        self.step.load(Ordering::Relaxed)
    }

    /// The memory that the network holds.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What the file had, or was given, beside the network.
    pub fn metadata(&self) -> MutexGuard<'_, String> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, network: &Network<Cpu>) {
        self.step.store(network.step(), Ordering::Relaxed);
        self.bytes.store(network.bytes(), Ordering::Relaxed);
    }
}

impl Exclusive {
    /// Moves a network to a thread of its own.
    pub fn new(network: Network<Cpu>, metadata: String) -> Result<Self, Failure> {
        let status = Arc::new(Status {
            busy: AtomicBool::new(false),
            cancel: network.cancel_flag(),
            step: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            metadata: Mutex::new(metadata),
        });
        status.update(&network);
        Ok(Self { worker: Worker::new(network, "network")?, status })
    }

    /// What is known of the network while it runs.
    pub const fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// Whether a call would be taken now.
    pub fn check(&self) -> Result<(), Failure> {
        self.worker.check()?;
        if self.status.busy.load(Ordering::Acquire) {
            return Err(Failure::new(Code::Busy, "the network is in the middle of another call"));
        }
        Ok(())
    }

    /// Does some work on the network's thread and passes the result to `done` there, after the next call is welcome.
    pub fn run<T>(
        &self,
        work: impl FnOnce(&mut Network<Cpu>) -> Result<T, Failure> + Send + 'static,
        done: impl FnOnce(Result<T, Failure>) + Send + 'static,
    ) -> Result<(), Failure> {
        self.check()?;
        let status = Arc::clone(&self.status);
        self.status.cancel.store(false, Ordering::Relaxed);
        self.status.busy.store(true, Ordering::Release);
        self.worker.send(move |network| {
            let result = guard(|| work(network));
            status.update(network);
            status.busy.store(false, Ordering::Release);
            done(result);
        })
    }

    /// Does some short work on the network's thread and waits for it.
    pub fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Network<Cpu>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (send, receive) = channel();
        self.run(work, move |result| {
            // Whoever asked is waiting.
            let _ = send.send(result);
        })?;
        receive.recv().map_err(|_| self.worker.ended())?
    }

    /// Makes the running call fail before it changes any state.
    pub fn cancel(&self) {
        self.status.cancel.store(true, Ordering::Relaxed);
    }

    /// Takes no more calls.
    pub fn close(&self) {
        self.worker.close();
    }
}
