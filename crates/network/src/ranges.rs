//! How far maps reach, over some images.

use binary_nets_data::Loader;
use binary_nets_exec::Backend;
use binary_nets_graph::Graph;
use binary_nets_graph::passes::{Range, Ranges, extremes, float_maps, freeze};

use crate::{Network, NetworkError};

impl<B: Backend> Network<B> {
    /// The least and the largest number of each map that a float product of an evaluation graph reads, as the frozen network computes them, over one epoch of a loader, from where
    /// it stands. Refused where there is no image, or a number is not finite.
    pub(crate) fn ranges(&mut self, graph: &Graph, images: &mut Loader) -> Result<Ranges, NetworkError> {
        let maps = float_maps(graph);
        let mut ranges = vec![Range { low: f32::INFINITY, high: f32::NEG_INFINITY }; maps.len()];
        let mut seen = 0;
        if !maps.is_empty() {
            let mut folded = self.folded(&freeze(&extremes(graph, &maps)?)?)?;
            while let Some(batch) = self.next_batch(images)? {
                for most in self.run_frozen(&mut folded, &batch.images, batch.len())? {
                    let (name, sign) = match most.name.strip_prefix("high") {
                        Some(map) => (map, 1.0),
                        None => (most.name.trim_start_matches("low"), -1.0),
                    };
                    let range = name.parse().ok().and_then(|map: usize| ranges.get_mut(map));
                    let Some(Range { low, high }) = range else { continue };
                    if most.data.iter().any(|number| !number.is_finite()) {
                        return Err(NetworkError::Argument(
                            "what the network computes of the images is not finite".to_owned(),
                        ));
                    }
                    for number in most.data {
                        *low = low.min(sign * number);
                        *high = high.max(sign * number);
                    }
                }
                seen += batch.len();
            }
            if seen == 0 {
                return Err(NetworkError::Argument(
                    "ranges of maps are those over some images, and there is none".to_owned(),
                ));
            }
        }
        Ok(maps.into_iter().zip(ranges).collect())
    }
}
