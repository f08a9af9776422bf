//! The text of a graph.

use std::fmt::{self, Write as _};

use crate::{Graph, Value};

impl Graph {
    /// The graph as text, one line a node, which [`Graph::parse`] reads back:
    ///
    /// ```text
    /// graph batch=64
    /// %0 = input {"name":"image","shape":[28,28,1],"meaning":{"int":{"min":0,"max":255}}} () : int(0..255)[64,28,28,1]
    /// %2, %3 = binarize_weight {"scale":"tensor","gradient":"identity","groups":1} (%1) : bit(sign)[16,3,3,16], f32[1] @layer1.0.conv1
    /// output logits = %40
    /// ```
    pub fn dump(&self) -> String {
        self.to_string()
    }
}

fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|i| i.to_string()).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph batch={}", self.batch())?;
        for node in self.nodes() {
            let attributes = match serde_json::to_value(&node.op).map_err(|_| fmt::Error)? {
                serde_json::Value::Object(op) => {
                    op.into_iter().next().map_or(serde_json::Value::Null, |(_, attributes)| attributes)
                }
                other => other,
            };
            let metas = list(node.outputs.iter().map(|&v| self.meta(v)));
            let mut line = String::new();
            if !node.outputs.is_empty() {
                write!(line, "{} = ", list::<&Value>(&node.outputs))?;
            }
            write!(line, "{} {attributes} ({})", node.op.name(), list::<&Value>(&node.inputs))?;
            if !node.outputs.is_empty() {
                write!(line, " : {metas}")?;
            }
            if !node.path.is_empty() {
                write!(line, " @{}", node.path)?;
            }
            writeln!(f, "{line}")?;
        }
        for (name, value) in self.outputs() {
            writeln!(f, "output {name} = {value}")?;
        }
        Ok(())
    }
}
