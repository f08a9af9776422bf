//! Memory, and who may touch which part of it: the only unsafe code of this crate.
//!
//! 1. An [`Arena`] is reached through its lock alone, so a run that holds the locks of its four regions ([`Claim`]) is alone with them.
//! 2. A [`Share`] stands for some workspaces and some repetitions, and splits into disjoint ones; a lane owns one.
//! 3. A lane runs one step at a time ([`Share::slots`] borrows it mutably), and [`Slots`] gives out each slot of a step that is written at most once.
//! 4. The slots of one step that are written overlap nothing else of that step, but for an input that an output replaces, which is not given out; and a program that is repeated updates no state: every [`Program`]
//!    was checked for that when it was planned.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ops::Range;
use std::ptr::NonNull;
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use binary_nets_exec::{ALIGNMENT, Address, ExecError, Memory, Program, Region, Step};
use bytemuck::Pod;
use memmap2::{MmapMut, MmapRaw};

use crate::io::Kernel;

/// Shared memory; clones are the same bytes.
pub type Buffer = Arc<Arena>;

/// Memory of which the system is asked for large pages, which the processor finds faster: a training step is 5 to 8 % faster. Less than that may stay mostly unused.
#[cfg(target_os = "linux")]
const LARGE: usize = 32 << 20;

/// A multiple of the pages of Linux on these processors, which takes back whole ones alone.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
const GRAIN: usize = if cfg!(target_arch = "x86_64") { 4 << 10 } else { 64 << 10 };

/// Bytes that start at a page, and so at a multiple of [`ALIGNMENT`].
#[derive(Debug)]
pub struct Arena {
    memory: MmapRaw,
    bytes: usize,
    lock: Mutex<()>,
}

const _: () = assert!(ALIGNMENT <= 4096, "pages are aligned well enough");

impl Arena {
    /// That many zeroes. What a network needs follows from what its user asked for, so too much of it is an error, and no end of the process.
    pub fn zeroed(bytes: usize) -> Result<Buffer, ExecError> {
        let refused = || ExecError::Device(format!("{bytes} bytes of memory are not to be had"));
        let memory = MmapMut::map_anon(bytes.max(1)).map_err(|_| refused())?;
        #[cfg(target_os = "linux")]
        if bytes >= LARGE {
            // A system without large pages does with small ones.
            let _ = memory.advise(memmap2::Advice::HugePage);
        }
        Ok(Arc::new(Self { memory: memory.into(), bytes, lock: Mutex::new(()) }))
    }

    /// Waits until nobody else uses the bytes.
    fn lock(&self) -> Lock<'_> {
        // A panic while the lock was held leaves nothing but numbers that are wrong, and its run has failed.
        Lock { arena: self, _guard: self.lock.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Copies into a slot.
    ///
    /// # Panics
    /// If the slot lies outside or has another size.
    pub fn write(&self, address: Address, bytes: &[u8]) {
        let lock = self.lock();
        // SAFETY: the lock excludes everyone else, and the slice ends before the lock does.
        unsafe { lock.exclusive(address.offset, address.bytes) }.copy_from_slice(bytes);
    }

    /// Copies from a slot.
    ///
    /// # Panics
    /// If the slot lies outside or has another size.
    pub fn read(&self, address: Address, bytes: &mut [u8]) {
        let lock = self.lock();
        // SAFETY: the lock excludes everyone else, and the slice ends before the lock does.
        bytes.copy_from_slice(unsafe { lock.shared(address.offset, address.bytes) });
    }

    /// Gives the memory of a slot back, where the system takes it: how many bytes, which are then zeros.
    ///
    /// # Panics
    /// If the slot lies outside.
    pub fn release(&self, address: Address) -> usize {
        let lock = self.lock();
        let _ = lock.start(address.offset, address.bytes);
        #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
        {
            use memmap2::UncheckedAdvice::DontNeed;
            let grains = grains(address.offset..address.end());
            // SAFETY: the lock excludes everyone else, so nobody has a slice of bytes that become zeros; whole pages inside the range do, for grains are multiples of a page.
            let taken = unsafe { self.memory.unchecked_advise_range(DontNeed, grains.start, grains.len()) };
            if taken.is_ok() {
                return grains.len();
            }
        }
        0
    }
}

/// The multiples of [`GRAIN`] that lie in a range.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn grains(range: Range<usize>) -> Range<usize> {
    let start = range.start.next_multiple_of(GRAIN);
    start..(range.end / GRAIN * GRAIN).max(start)
}

/// The right to an arena's bytes.
struct Lock<'m> {
    arena: &'m Arena,
    _guard: MutexGuard<'m, ()>,
}

impl Lock<'_> {
    /// The first byte of a range that lies inside.
    fn start(&self, offset: usize, bytes: usize) -> NonNull<u8> {
        let inside = offset.checked_add(bytes).is_some_and(|end| end <= self.arena.bytes);
        assert!(inside, "bytes {offset}..+{bytes} lie outside a buffer of {}", self.arena.bytes);
        let start = NonNull::new(self.arena.memory.as_mut_ptr()).expect("memory is nowhere at 0");
        // SAFETY: the range was just checked.
        unsafe { start.add(offset) }
    }

    /// # Safety
    /// While the slice lives, nobody has an exclusive slice that overlaps it.
    unsafe fn shared(&self, offset: usize, bytes: usize) -> &[u8] {
        // SAFETY: inside the allocation, which started as zeroes and lives as long as the lock; the caller answers for aliases.
        unsafe { slice::from_raw_parts(self.start(offset, bytes).as_ptr(), bytes) }
    }

    /// # Safety
    /// While the slice lives, nobody has another slice that overlaps it.
    #[allow(clippy::mut_from_ref, reason = "the caller answers for aliases")]
    unsafe fn exclusive(&self, offset: usize, bytes: usize) -> &mut [u8] {
        // SAFETY: inside the allocation, which started as zeroes and lives as long as the lock; the caller answers for aliases.
        unsafe { slice::from_raw_parts_mut(self.start(offset, bytes).as_ptr(), bytes) }
    }
}

/// All memory of one run, held until it ends.
pub struct Claim<'m> {
    regions: Memory<Lock<'m>>,
}

impl<'m> Claim<'m> {
    /// Waits for the memory, having checked that it is large enough for `lanes` lanes.
    pub fn new(memory: &'m Memory<Buffer>, program: &Program<Kernel>, lanes: usize) -> Result<Self, ExecError> {
        let repeat = program.repeat();
        // The offsets of shares are products of these, so none of them wraps.
        let times = |count: usize, bytes: usize| {
            count
                .checked_mul(bytes)
                .ok_or_else(|| ExecError::Device(format!("{count} times {bytes} bytes are too many")))
        };
        let regions = [
            (Region::State, &memory.state, program.state_bytes()),
            (Region::Workspace, &memory.workspace, times(lanes, program.workspace_bytes())?),
            (Region::Batch, &memory.batch, times(repeat, program.batch_bytes())?),
            (Region::Output, &memory.output, times(repeat, program.output_bytes())?),
        ];
        for (i, (region, buffer, bytes)) in regions.iter().enumerate() {
            if buffer.bytes < *bytes {
                return Err(ExecError::Device(format!(
                    "{region:?} has {} bytes, the program needs {bytes}",
                    buffer.bytes
                )));
            }
            if regions[..i].iter().any(|(_, other, _)| Arc::ptr_eq(buffer, other)) {
                return Err(ExecError::Device(format!("{region:?} shares its buffer with another region")));
            }
        }
        // Locks are taken in the order of their addresses, so that two runs on common buffers wait for each other only one way.
        let mut order = [0, 1, 2, 3];
        order.sort_unstable_by_key(|&i| Arc::as_ptr(regions[i].1));
        let mut locks = [const { None }; 4];
        for i in order {
            locks[i] = Some(regions[i].1.lock());
        }
        match locks {
            [Some(state), Some(workspace), Some(batch), Some(output)] => {
                Ok(Self { regions: Memory { state, workspace, batch, output } })
            }
            _ => unreachable!("all four were taken"),
        }
    }

    /// All of it: `lanes` workspaces, as [`Claim::new`] was told, and every repetition of the program.
    pub fn share<'a>(&'a mut self, program: &'a Program<Kernel>, lanes: usize) -> Share<'a> {
        Share { regions: &self.regions, program, lanes: 0..lanes, repetitions: 0..program.repeat() }
    }
}

/// Workspaces and repetitions that no other share has.
pub struct Share<'a> {
    regions: &'a Memory<Lock<'a>>,
    program: &'a Program<Kernel>,
    lanes: Range<usize>,
    repetitions: Range<usize>,
}

impl<'a> Share<'a> {
    /// The number of workspaces.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// The repetitions.
    pub fn repetitions(&self) -> Range<usize> {
        self.repetitions.clone()
    }

    /// The program.
    pub fn program(&self) -> &'a Program<Kernel> {
        self.program
    }

    /// Two disjoint parts, each with its part of the lanes.
    pub fn split(self) -> (Self, Self) {
        let lanes = self.lanes.start + self.lanes.len() / 2;
        let repetitions =
            self.repetitions.start + self.repetitions.len() * (self.lanes.len() / 2) / self.lanes.len().max(1);
        let left = Self { lanes: self.lanes.start..lanes, repetitions: self.repetitions.start..repetitions, ..self };
        (left, Self { lanes: lanes..self.lanes.end, repetitions: repetitions..self.repetitions.end, ..self })
    }

    /// The slots of a step in a repetition, in the share's first workspace; `prologue`: those of its prologue.
    pub fn slots(&mut self, step: usize, repetition: usize, prologue: bool) -> Slots<'_> {
        assert!(self.repetitions.contains(&repetition) && !self.lanes.is_empty(), "a repetition of another share");
        let program = self.program;
        let shift = Memory {
            state: 0,
            workspace: self.lanes.start * program.workspace_bytes(),
            batch: repetition * program.batch_bytes(),
            output: repetition * program.output_bytes(),
        };
        let inputs = Inputs { regions: self.regions, step: &program.steps()[step], shift, prologue };
        Slots { inputs, taken: Cell::new(0) }
    }
}

/// A slot of a step that is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// An output.
    Output(usize),
    /// An input that the op updates in place.
    State(usize),
    /// The scratch memory.
    Scratch,
    /// The result of the prologue.
    Resident,
}

/// What one step reads while it runs, for all its threads.
#[derive(Clone)]
pub struct Inputs<'a> {
    regions: &'a Memory<Lock<'a>>,
    step: &'a Step<Kernel>,
    shift: Memory<usize>,
    prologue: bool,
}

impl Inputs<'_> {
    fn offset(&self, address: Address) -> usize {
        address.offset + self.shift.region(address.region)
    }

    fn shared(&self, address: Address) -> &[u8] {
        // SAFETY: points 1 to 4 of this file; callers pass slots of the step that are not written.
        unsafe { self.regions.region(address.region).shared(self.offset(address), address.bytes) }
    }

    /// Whether an output has the memory of input `i`, and its bytes.
    pub fn is_replaced(&self, i: usize) -> bool {
        self.step.replaced.is_some_and(|replaced| replaced.input == i)
    }

    /// An input that the op does not update; `None` where an output replaces it and has its bytes.
    pub fn unless_replaced<T: Pod>(&self, i: usize) -> Option<&[T]> {
        (!self.is_replaced(i)).then(|| self.get(i))
    }

    /// An input that the op does not update and no output replaces.
    ///
    /// # Panics
    /// If there is none of that number, an element has another size, or the prologue has consumed it.
    pub fn get<T: Pod>(&self, i: usize) -> &[T] {
        assert!(self.prologue || !self.step.consumed.contains(&i), "the prologue has consumed input {i}");
        assert!(!self.step.writes.contains(&i) && !self.is_replaced(i), "input {i} is updated in place");
        bytemuck::cast_slice(self.shared(self.step.inputs[i]))
    }
}

/// The bytes of one step while it runs.
pub struct Slots<'a> {
    inputs: Inputs<'a>,
    taken: Cell<u64>,
}

impl<'a> Slots<'a> {
    /// What the step reads.
    pub fn inputs(&self) -> &Inputs<'a> {
        &self.inputs
    }

    /// The result of the prologue.
    ///
    /// # Panics
    /// In the prologue itself.
    pub fn resident(&self) -> &[u8] {
        assert!(!self.inputs.prologue, "the prologue is still to write its result");
        self.inputs.shared(self.inputs.step.resident)
    }

    /// A slot to write.
    ///
    /// # Panics
    /// If there is none, it was taken before, or it is not this kernel's to write.
    #[allow(clippy::mut_from_ref, reason = "each slot is given out once")]
    pub fn written(&self, slot: Written) -> &mut [u8] {
        let Inputs { step, prologue, .. } = self.inputs;
        let (bit, address, allowed) = match slot {
            Written::Scratch => (0, step.scratch, true),
            Written::Resident => (1, step.resident, prologue),
            Written::Output(i) => (2 + i, step.outputs[i], !prologue),
            Written::State(i) => (32 + i, step.inputs[i], !prologue && step.writes.contains(&i)),
        };
        assert!(allowed, "{slot:?} is not written here");
        let flag =
            1u64.checked_shl(bit as u32).filter(|_| !matches!(slot, Written::Output(30..))).expect("fewer slots");
        assert!(self.taken.get() & flag == 0, "{slot:?} was taken before");
        self.taken.set(self.taken.get() | flag);
        // SAFETY: points 1 to 4 of this file; the slot is one of the step's that are written, and was not given out before.
        unsafe { self.inputs.regions.region(address.region).exclusive(self.inputs.offset(address), address.bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(offset: usize, bytes: usize) -> Address {
        Address { region: Region::State, offset, bytes }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let arena = Arena::zeroed(1000).unwrap();
        assert_eq!(arena.memory.as_ptr() as usize % ALIGNMENT, 0);
        arena.write(address(256, 3), &[1, 2, 3]);
        let mut bytes = [9; 5];
        arena.read(address(255, 5), &mut bytes);
        assert_eq!(bytes, [0, 1, 2, 3, 0]);
    }

    #[test]
    fn released_memory_is_zeros_and_its_neighbours_stay() {
        let bytes = 400 << 10;
        let arena = Arena::zeroed(bytes).unwrap();
        let (first, len) = (ALIGNMENT, 300 << 10);
        arena.write(address(0, bytes), &vec![7; bytes]);
        let given = arena.release(address(first, len));
        // Less than a page is kept.
        assert_eq!(arena.release(address(bytes - 100, 100)), 0);
        let mut after = vec![0; bytes];
        arena.read(address(0, bytes), &mut after);
        let released = after.iter().map(|&byte| usize::from(byte == 0)).sum::<usize>();
        assert_eq!(released, given);
        assert!(given > len / 2 || !cfg!(all(target_os = "linux", target_arch = "x86_64")), "{given} bytes");
        assert!(after[..first].iter().chain(&after[first + len..]).all(|&byte| byte == 7));
        arena.write(address(first, len), &vec![9; len]);
        arena.read(address(0, bytes), &mut after);
        assert!(after[first..first + len].iter().all(|&byte| byte == 9));
    }

    #[test]
    #[should_panic(expected = "lie outside a buffer of 10")]
    fn slots_outside_are_refused() {
        Arena::zeroed(10).unwrap().read(address(8, 3), &mut [0; 3]);
    }

    #[test]
    fn more_memory_than_there_is_is_an_error() {
        for bytes in [usize::MAX, 1 << 62] {
            assert!(
                matches!(Arena::zeroed(bytes), Err(ExecError::Device(message)) if message.contains("bytes of memory"))
            );
        }
    }
}
