//! The thread that a network lives on.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use binary_nets_cpu::Cpu;
use binary_nets_network::Network;

use crate::error::{Code, Failure, guard};

/// A network and its thread, which ends, and frees the network, when this is closed or dropped and the running call has ended.
pub struct Worker {
    /// Nothing once it is closed.
    jobs: RefCell<Option<Sender<Job>>>,
    status: Arc<Status>,
}

type Job = Box<dyn FnOnce(&mut Network<Cpu>) + Send>;

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

impl Worker {
    /// Moves a network to a thread of its own.
    pub fn new(mut network: Network<Cpu>, metadata: String) -> Result<Self, Failure> {
        let status = Arc::new(Status {
            busy: AtomicBool::new(false),
            cancel: network.cancel_flag(),
            step: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            metadata: Mutex::new(metadata),
        });
        status.update(&network);
        let (jobs, queue) = channel::<Job>();
        let work = move || {
            for job in queue {
                job(&mut network);
            }
        };
        let spawned = thread::Builder::new().name("network".to_owned()).spawn(work);
        spawned.map_err(|e| Failure::new(Code::Device, format!("a thread for the network: {e}")))?;
        Ok(Self { jobs: RefCell::new(Some(jobs)), status })
    }

    /// What is known of the network while it runs.
    pub const fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// Whether a call would be taken now.
    pub fn check(&self) -> Result<(), Failure> {
        if self.jobs.borrow().is_none() {
            return Err(Failure::new(Code::Disposed, "the network was disposed of"));
        }
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
        let job = move |network: &mut Network<Cpu>| {
            let result = guard(|| work(network));
            status.update(network);
            status.busy.store(false, Ordering::Release);
            done(result);
        };
        self.status.cancel.store(false, Ordering::Relaxed);
        self.status.busy.store(true, Ordering::Release);
        let sent = self.jobs.borrow().as_ref().is_some_and(|jobs| jobs.send(Box::new(job)).is_ok());
        if sent { Ok(()) } else { Err(ended()) }
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
        receive.recv().map_err(|_| ended())?
    }

    /// Makes the running call fail before it changes any state.
    pub fn cancel(&self) {
        self.status.cancel.store(true, Ordering::Relaxed);
    }

    /// Takes no more calls.
    pub fn close(&self) {
        self.jobs.borrow_mut().take();
    }
}

fn ended() -> Failure {
    Failure::new(Code::Internal, "the thread of the network has ended")
}
