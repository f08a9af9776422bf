//! Fused ops: their bodies, op by op.

use std::collections::BTreeMap;

use binary_nets_graph::ops::Fused;
use binary_nets_graph::{Meaning, Shape, ValueMeta};

use super::{Randomness, ReferenceError, apply, round};
use crate::Tensor;

/// The outputs; every float on the way is rounded to f32, as if it had been written.
pub fn evaluate(
    op: &Fused,
    metas: &[&ValueMeta],
    inputs: &[&Tensor],
    randomness: Randomness,
) -> Result<Vec<Tensor>, ReferenceError> {
    let metas = op.values(metas).expect("a body that fits, or the graph would not exist");
    let mut values: Vec<Tensor> = inputs.iter().map(|&x| x.clone()).collect();
    for node in &op.body {
        let yielded: Vec<&ValueMeta> =
            metas[values.len()..].iter().take_while(|v| v.node == metas[values.len()].node).map(|v| &v.meta).collect();
        let shapes: Vec<&Shape> = yielded.iter().map(|meta| &meta.shape).collect();
        let inputs: Vec<&Tensor> = node.inputs.iter().map(|&i| &values[i]).collect();
        let outputs = apply(&node.op, &inputs, &shapes, &BTreeMap::new(), randomness)?;
        let rounded = outputs
            .into_iter()
            .zip(&yielded)
            .map(|(y, meta)| if meta.meaning == Meaning::F32 { y.map(round) } else { y });
        let rounded: Vec<Tensor> = rounded.collect();
        values.extend(rounded);
    }
    Ok(op.outputs.iter().map(|&i| values[i].clone()).collect())
}
