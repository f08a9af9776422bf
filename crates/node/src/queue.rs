//! Calls of a network that never changes: they line up.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use binary_nets_cpu::Cpu;
use binary_nets_network::FrozenNetwork;

use crate::error::{Failure, guard};
use crate::worker::Worker;

/// A frozen network on its thread.
pub struct Queue {
    worker: Worker<FrozenNetwork<Cpu>>,
    status: Arc<Status>,
}

/// What is known of a frozen network while it runs.
pub struct Status {
    /// Also cancels the running call.
    closed: Arc<AtomicBool>,
    bytes: AtomicUsize,
    kernels: Mutex<String>,
}

impl Status {
    /// The memory that the network holds.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The kernels that were chosen so far, one a line.
    pub fn kernels(&self) -> String {
        self.kernels.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn update(&self, network: &FrozenNetwork<Cpu>) {
        let bytes = network.bytes();
        // A program that was not there before takes memory.
        if self.bytes.swap(bytes, Ordering::Relaxed) == bytes {
            return;
        }
        *self.kernels.lock().unwrap_or_else(PoisonError::into_inner) = network.kernels().join("\n");
    }
}

impl Queue {
    /// Moves a frozen network to a thread of its own.
    pub fn new(mut network: FrozenNetwork<Cpu>) -> Result<Self, Failure> {
        let status = Arc::new(Status { closed: Arc::default(), bytes: AtomicUsize::new(0), kernels: Mutex::default() });
        network.set_cancel_flag(Arc::clone(&status.closed));
        status.update(&network);
        Ok(Self { worker: Worker::new(network, "frozen network")?, status })
    }

    /// What is known of the network while it runs.
    pub const fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// Whether a call would be taken now.
    pub fn check(&self) -> Result<(), Failure> {
        self.worker.check()
    }

    /// Does some work on the network's thread, behind all that was sent before, and passes the result to `done` there. A call that has not begun when this is
    /// closed fails.
    pub fn run<T>(
        &self,
        work: impl FnOnce(&mut FrozenNetwork<Cpu>) -> Result<T, Failure> + Send + 'static,
        done: impl FnOnce(Result<T, Failure>) + Send + 'static,
    ) -> Result<(), Failure> {
        let (status, disposed) = (Arc::clone(&self.status), self.worker.disposed());
        self.worker.send(move |network| {
            if status.closed.load(Ordering::Acquire) {
                return done(Err(disposed));
            }
            let result = guard(|| work(network));
            status.update(network);
            done(result);
        })
    }

    /// Makes the running call fail, and those behind it, and takes no more.
    pub fn close(&self) {
        self.status.closed.store(true, Ordering::Release);
        self.worker.close();
    }
}
