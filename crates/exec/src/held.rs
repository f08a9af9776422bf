//! What lies in the workspace, and when.

use serde::Serialize;

use crate::{Program, Step, align};

/// A value that lies in the workspace for a while.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Held {
    /// The op that yields it.
    pub op: &'static str,
    /// The path of its layer.
    pub path: String,
    /// Its meaning and shape.
    pub value: String,
    /// Its size.
    pub bytes: usize,
    /// The step that writes it.
    #[serde(skip)]
    pub first: usize,
    /// The last step that has to find it: the last that reads it, but for one that replaces it.
    #[serde(skip)]
    pub last: usize,
}

impl<K> Program<K> {
    /// What lies in the workspace while a step runs, besides its scratch memory; in the order in which it was written.
    pub fn held(&self, step: usize) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(move |held| (held.first..=held.last).contains(&step))
    }

    /// The first step during which most is held.
    pub fn fullest(&self) -> usize {
        let mut fullest = (0, 0);
        for (step, Step { scratch, .. }) in self.steps().iter().enumerate() {
            let bytes = align(scratch.bytes) + self.held(step).map(|held| align(held.bytes)).sum::<usize>();
            if bytes > fullest.1 {
                fullest = (step, bytes);
            }
        }
        fullest.0
    }
}
