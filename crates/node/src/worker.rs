//! Threads that things of JavaScript live on.

use std::cell::RefCell;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::error::{Code, Failure};

/// Something and its thread, which does its jobs one after the other, and ends, and frees it, when this is closed or dropped and all jobs are done.
pub struct Worker<T> {
    /// What messages call it.
    what: &'static str,
    /// Nothing once it is closed.
    jobs: RefCell<Option<Sender<Job<T>>>>,
}

type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

impl<T: Send + 'static> Worker<T> {
    /// Moves something to a thread of its own.
    pub fn new(mut value: T, what: &'static str) -> Result<Self, Failure> {
        let (jobs, queue) = channel::<Job<T>>();
        let work = move || {
            for job in queue {
                job(&mut value);
            }
        };
        let spawned = thread::Builder::new().name(what.replace(' ', "-")).spawn(work);
        spawned.map_err(|e| Failure::new(Code::Device, format!("a thread for the {what}: {e}")))?;
        Ok(Self { what, jobs: RefCell::new(Some(jobs)) })
    }

    /// Whether a job would be taken now.
    pub fn check(&self) -> Result<(), Failure> {
        if self.jobs.borrow().is_none() {
            return Err(self.disposed());
        }
        Ok(())
    }

    /// The failure of calls after the end.
    pub fn disposed(&self) -> Failure {
        Failure::new(Code::Disposed, format!("the {} was disposed of", self.what))
    }

    /// Sends a job.
    pub fn send(&self, job: impl FnOnce(&mut T) + Send + 'static) -> Result<(), Failure> {
        self.check()?;
        let sent = self.jobs.borrow().as_ref().is_some_and(|jobs| jobs.send(Box::new(job)).is_ok());
        if sent { Ok(()) } else { Err(self.ended()) }
    }

    /// The failure of a job whose thread is gone.
    pub fn ended(&self) -> Failure {
        Failure::new(Code::Internal, format!("the thread of the {} has ended", self.what))
    }

    /// Takes no more jobs.
    pub fn close(&self) {
        self.jobs.borrow_mut().take();
    }
}
