//! The thread that runs programs.
//!
//! Sending work into a rayon pool from outside allocates. So one job that never ends sits inside the pool, takes runs from a queue that was
//! allocated beforehand, and forks from there.

use std::any::Any;
use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use binary_nets_exec::{ExecError, Memory, Program, Run};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::arena::{Buffer, Claim, Share};
use crate::io::{Io, Kernel};
use crate::threads::Threads;

/// A thread pool and its queue of runs, which it takes one after the other.
pub struct Engine {
    shared: Arc<Shared>,
    /// Its threads end with it.
    _pool: ThreadPool,
}

/// A run that was submitted. Dropping it waits for the run.
pub struct Ticket {
    shared: Arc<Shared>,
    id: u64,
    taken: bool,
}

/// What to run.
pub struct Job {
    pub program: Arc<Program<Kernel>>,
    pub memory: Memory<Buffer>,
    pub run: Run,
    pub part: Part,
}

/// Which part of a program.
pub enum Part {
    /// The prologues of all steps.
    Prologue,
    /// These steps.
    Steps(Range<usize>),
}

struct Shared {
    queue: Mutex<Queue>,
    submitted: Condvar,
    finished: Condvar,
}

struct Queue {
    jobs: VecDeque<(u64, Job)>,
    results: Vec<(u64, Result<(), ExecError>)>,
    next: u64,
    stop: bool,
}

/// Runs that can wait before the queue must grow.
const CAPACITY: usize = 64;

impl Engine {
    /// A pool of `threads` threads; the engine is one of them.
    pub fn new(threads: usize) -> Result<Self, ExecError> {
        let queue = Queue {
            jobs: VecDeque::with_capacity(CAPACITY),
            results: Vec::with_capacity(CAPACITY),
            next: 0,
            stop: false,
        };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), submitted: Condvar::new(), finished: Condvar::new() });
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("binary-nets-{i}"))
            .build()
            .map_err(|e| ExecError::Device(format!("{threads} threads: {e}")))?;
        // A thread allocates when it first looks for work: let that not be in the middle of a step.
        pool.broadcast(|_| ());
        let engine = Arc::clone(&shared);
        pool.spawn(move || engine.work(threads));
        Ok(Self { shared, _pool: pool })
    }

    /// Queues a run.
    pub fn submit(&self, job: Job) -> Ticket {
        let mut queue = self.shared.lock();
        let id = queue.next;
        queue.next += 1;
        queue.jobs.push_back((id, job));
        self.shared.submitted.notify_one();
        Ticket { shared: Arc::clone(&self.shared), id, taken: false }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.submitted.notify_one();
    }
}

impl Ticket {
    /// Waits for the run to end; its result.
    pub fn wait(mut self) -> Result<(), ExecError> {
        self.take()
    }

    fn take(&mut self) -> Result<(), ExecError> {
        self.taken = true;
        let mut queue = self.shared.lock();
        loop {
            if let Some(i) = queue.results.iter().position(|(id, _)| *id == self.id) {
                return queue.results.swap_remove(i).1;
            }
            queue = self.shared.finished.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.taken {
            // Nobody asked for the result.
            let _ = self.take();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs jobs until the engine is dropped; what still waits then is cancelled.
    fn work(&self, threads: usize) {
        let mut queue = self.lock();
        loop {
            if queue.stop {
                let Queue { jobs, results, .. } = &mut *queue;
                results.extend(jobs.drain(..).map(|(id, _)| (id, Err(ExecError::Cancelled))));
                self.finished.notify_all();
                return;
            }
            let Some((id, job)) = queue.jobs.pop_front() else {
                queue = self.submitted.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(queue);
            let result = catch_unwind(AssertUnwindSafe(|| job.run(threads)));
            // Whoever waits finds the memory given back.
            drop(job);
            queue = self.lock();
            let panicked = |panic: Box<dyn Any + Send>| ExecError::Panicked {
                op: "the engine",
                path: String::new(),
                message: message(&*panic).to_owned(),
            };
            queue.results.push((id, result.unwrap_or_else(|panic| Err(panicked(panic)))));
            self.finished.notify_all();
        }
    }
}

/// How many repetitions run at the same time.
pub fn lanes(threads: usize, repeat: usize) -> usize {
    threads.min(repeat).max(1)
}

impl Job {
    fn run(&self, threads: usize) -> Result<(), ExecError> {
        let lanes = lanes(threads, self.program.repeat());
        let mut claim = Claim::new(&self.memory, &self.program, lanes)?;
        let mut share = claim.share(&self.program, lanes);
        match &self.part {
            Part::Prologue => {
                let prologues =
                    self.program.steps().iter().enumerate().filter_map(|(i, step)| Some((i, step.prologue.as_ref()?)));
                for (i, prologue) in prologues {
                    if !share.repetitions().is_empty() {
                        self.call(prologue, &mut share, i, 0, true, Threads::new(threads))?;
                    }
                }
                Ok(())
            }
            Part::Steps(steps) => {
                let threads = if self.program.repeat() > 1 { 1 } else { threads };
                self.steps(steps, share, Threads::new(threads))
            }
        }
    }

    /// Runs every repetition of a share, one lane each.
    fn steps(&self, steps: &Range<usize>, mut share: Share<'_>, threads: Threads) -> Result<(), ExecError> {
        if share.lanes() > 1 {
            let (left, right) = share.split();
            let (left, right) = rayon::join(|| self.steps(steps, left, threads), || self.steps(steps, right, threads));
            return left.and(right);
        }
        for repetition in share.repetitions() {
            for i in steps.clone() {
                if self.program.compute().contains(&i) && self.run.cancel.load(Ordering::Relaxed) {
                    return Err(ExecError::Cancelled);
                }
                self.call(&share.program().steps()[i].kernel, &mut share, i, repetition, false, threads)?;
            }
        }
        Ok(())
    }

    fn call(
        &self,
        kernel: &Kernel,
        share: &mut Share<'_>,
        step: usize,
        repetition: usize,
        prologue: bool,
        threads: Threads,
    ) -> Result<(), ExecError> {
        let slots = share.slots(step, repetition, prologue);
        let io = Io { slots, threads, seed: self.run.seed, step: self.run.step };
        catch_unwind(AssertUnwindSafe(|| kernel(&io))).map_err(|panic| {
            let step = &self.program.steps()[step];
            ExecError::Panicked { op: step.op, path: step.path.clone(), message: message(&*panic).to_owned() }
        })
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
