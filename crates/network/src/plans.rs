//! What the plans of a network have chosen, and what they take.

use std::collections::BTreeSet;

use binary_nets_exec::Backend;

use crate::Network;
use crate::frozen::Folded;
use crate::loaded::Loaded;
use crate::train::Trainer;

impl<B: Backend> Network<B> {
    /// Every program that was planned so far.
    fn programs(&self) -> impl Iterator<Item = &Loaded<B>> {
        let frozen = self.frozen.values().flat_map(Folded::loaded);
        self.trainer.iter().flat_map(Trainer::loaded).chain(frozen).chain(self.objectives.loaded())
    }

    /// The kernels that were chosen so far, each as `op: kernel`, sorted.
    pub fn kernels(&self) -> Vec<String> {
        let steps = self.programs().flat_map(|loaded| loaded.program.steps());
        steps.map(|step| format!("{}: {}", step.op, step.kernel_name)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The memory that the network holds, with its teacher's: states, workspace and the regions of its programs, in bytes.
    pub fn bytes(&self) -> usize {
        let frozen: usize = self.frozen.values().map(Folded::bytes).sum();
        let others = self.trainer.iter().flat_map(Trainer::loaded).chain(self.objectives.loaded());
        let regions: usize = others.map(Loaded::region_bytes).sum();
        let teacher = self.teacher().map_or(0, Self::bytes);
        self.states.bytes() + self.workspace.bytes + frozen + regions + teacher
    }
}
