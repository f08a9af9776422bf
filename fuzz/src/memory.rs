//! An allocator with a bound: whoever asks for more than a file may take ends the process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Bounded;

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

/// Bytes that are allocated.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// As many as there may be.
static BOUND: AtomicUsize = AtomicUsize::new(usize::MAX);

// SAFETY: All memory is the system's; this only counts.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: The caller keeps to the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: The caller keeps to the same contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: The caller keeps to the same contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn add(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Relaxed).wrapping_add(bytes);
    let bound = BOUND.load(Relaxed);
    if live > bound {
        BOUND.store(usize::MAX, Relaxed);
        eprintln!("an allocation of {bytes} bytes makes {live}, and the bound is {bound}");
        std::process::abort();
    }
}

/// Ends the process when `work` has more than so many bytes at a time, on all threads together.
pub fn within(bytes: usize, work: impl FnOnce()) {
    BOUND.store(LIVE.load(Relaxed).saturating_add(bytes), Relaxed);
    work();
    BOUND.store(usize::MAX, Relaxed);
}
