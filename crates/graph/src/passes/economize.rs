//! Everything that makes a training step cheaper, wherever it runs.

use crate::{Graph, GraphError};

use super::{dce, keep_integers, read_through_pools, share_codes, share_max_pools};

/// Neither computes nor keeps what a differentiated step can do without. Changes no bit, but where gradients behind pools are added in the order of their kernels.
pub fn economize(step: &Graph) -> Result<Graph, GraphError> {
    let step = read_through_pools(step)?;
    let step = share_max_pools(&step)?;
    let step = share_codes(&step)?;
    dce(&keep_integers(&step)?)
}
