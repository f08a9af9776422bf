//! What a run graph reads of its fold graph.

use std::collections::{HashMap, HashSet};

use crate::ops::{State, StateKind};
use crate::{Graph, GraphError, Init, Value};

/// The edge between two graphs: values of the fold graph that are its outputs, and states of the same names in the run graph.
#[derive(Default)]
pub(super) struct Constants {
    /// The states, by values of the fold graph.
    read: HashMap<Value, Value>,
    names: HashSet<String>,
    /// How often each name was asked for.
    namesakes: HashMap<String, usize>,
}

impl Constants {
    /// A value of the fold graph as a state of the run graph: the same one whenever it is asked for. The name is the first one's; where another constant has it
    /// already, as when a layer is called twice, `'` is put behind it, and a number from the third on.
    pub fn read(&mut self, fold: &mut Graph, run: &mut Graph, value: Value, name: &str) -> Result<Value, GraphError> {
        if let Some(&known) = self.read.get(&value) {
            return Ok(known);
        }
        let path = self.free(name);
        let meta = fold.meta(value).clone();
        fold.set_output(&path, value);
        let kind = StateKind::Constant;
        let state = State { path, shape: meta.shape, kind, init: Init::Constant(0.0), meaning: meta.meaning };
        let state = run.add_one(state, &[], "")?;
        self.read.insert(value, state);
        Ok(state)
    }

    /// A name that no constant has. The numbers go on where they ended the last time: thousands of namesakes are no search each.
    fn free(&mut self, name: &str) -> String {
        let count = self.namesakes.entry(name.to_owned()).or_insert(0);
        loop {
            *count += 1;
            let free = match *count {
                1 => name.to_owned(),
                2 => format!("{name}'"),
                n => format!("{name}'{n}"),
            };
            if self.names.insert(free.clone()) {
                return free;
            }
        }
    }
}
