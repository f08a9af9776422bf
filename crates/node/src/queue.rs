//! Calls of a network that never changes: they line up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    closed: AtomicBool,
    bytes: AtomicUsize,
    kernels: Mutex<String>,
    /// The cancel flags of the calls that were not answered yet, in order.
    calls: Mutex<VecDeque<Arc<AtomicBool>>>,
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

    /// Says that JavaScript hears of the end of the oldest call. Only then does [`Queue::cancel`] mean the next one, or it could hit a call that nobody wants cancelled.
    pub fn answered(&self) {
        self.calls().pop_front();
    }

    fn calls(&self) -> MutexGuard<'_, VecDeque<Arc<AtomicBool>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, network: &FrozenNetwork<Cpu>) {
        self.bytes.store(network.bytes(), Ordering::Relaxed);
        *self.kernels.lock().unwrap_or_else(PoisonError::into_inner) = network.kernels().join("\n");
    }
}

impl Queue {
    /// Moves a frozen network to a thread of its own.
    pub fn new(network: FrozenNetwork<Cpu>) -> Result<Self, Failure> {
        let status = Arc::new(Status {
            closed: AtomicBool::new(false),
            bytes: AtomicUsize::new(0),
            kernels: Mutex::default(),
            calls: Mutex::default(),
        });
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

    /// Does some work on the network's thread, behind all that was sent before, and passes the result to `done` there; whoever is told of it in JavaScript calls
    /// [`Status::answered`] first. A call that has not begun when this is closed fails.
    pub fn run<T>(
        &self,
        work: impl FnOnce(&mut FrozenNetwork<Cpu>) -> Result<T, Failure> + Send + 'static,
        done: impl FnOnce(Result<T, Failure>) + Send + 'static,
    ) -> Result<(), Failure> {
        let (status, disposed) = (Arc::clone(&self.status), self.worker.disposed());
        let cancel = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&cancel);
        self.worker.send(move |network| {
            if status.closed.load(Ordering::Acquire) {
                return done(Err(disposed));
            }
            network.set_cancel_flag(flag);
            let result = guard(|| work(network));
            status.update(network);
            done(result);
        })?;
        self.status.calls().push_back(cancel);
        Ok(())
    }

    /// Makes the running call fail; those behind it go on.
    pub fn cancel(&self) {
        if let Some(flag) = self.status.calls().front() {
            flag.store(true, Ordering::Relaxed);
        }
    }

    /// Makes the running call fail, and those behind it, and takes no more.
    pub fn close(&self) {
        self.status.closed.store(true, Ordering::Release);
        self.status.calls().iter().for_each(|flag| flag.store(true, Ordering::Relaxed));
        self.worker.close();
    }
}
