//! Which values take the same memory.

use crate::liveness::Lifetime;
use crate::{InPlace, Replaced};

/// What one step does to memory; values go by numbers.
pub struct Touch<'a> {
    /// The values that it reads.
    pub inputs: &'a [usize],
    /// The values that it writes.
    pub outputs: &'a [usize],
    /// Which of them may be one.
    pub in_place: Option<&'a InPlace>,
}

/// Slots of the workspace, each named after the value that it was first made for.
pub struct Slots {
    /// The slot of each value; of itself where it has none.
    pub of: Vec<usize>,
    /// When each slot holds something, which is as long as its values together do; `None` for values that are no slot.
    pub lifetimes: Vec<Option<Lifetime>>,
    /// What each step replaces.
    pub replaced: Vec<Option<Replaced>>,
}

/// Gives every value with a lifetime a slot: that of an input that it replaces, where the step may do so and nobody reads that input later, or one of its own.
pub fn slots<'a>(
    lifetimes: &[Option<Lifetime>],
    bytes: impl Fn(usize) -> usize,
    steps: impl Iterator<Item = Touch<'a>>,
) -> Slots {
    let mut slots = Slots { of: (0..lifetimes.len()).collect(), lifetimes: lifetimes.to_vec(), replaced: Vec::new() };
    for (step, Touch { inputs, outputs, in_place }) in steps.enumerate() {
        let replaced = in_place.and_then(|InPlace { inputs: candidates, output }| {
            let (to, born) = (outputs[*output], lifetimes[outputs[*output]]?);
            let dies = |from: usize| lifetimes[from].is_some_and(|lifetime| lifetime.last == step);
            let read_once = |from: usize| inputs.iter().filter(|&&input| input == from).count() == 1;
            let fits = |&input: &usize| {
                let from = inputs[input];
                dies(from) && read_once(from) && bytes(from) == bytes(to)
            };
            let input = candidates.iter().copied().find(fits)?;
            let slot = slots.of[inputs[input]];
            slots.of[to] = slot;
            slots.lifetimes[to] = None;
            if let Some(lifetime) = &mut slots.lifetimes[slot] {
                lifetime.last = born.last;
            }
            Some(Replaced { input, output: *output })
        });
        slots.replaced.push(replaced);
    }
    slots
}
