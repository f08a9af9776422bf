//! Averages of parameters and running statistics.

use binary_nets_exec::Backend;
use binary_nets_graph::passes::AVERAGE;

use crate::{Network, NetworkError};

impl<B: Backend> Network<B> {
    /// The paths of all states that have an average, and those of the averages.
    pub(crate) fn averaged(&self) -> Vec<(String, String)> {
        let pair = |average: &str| {
            let path = average.strip_suffix(AVERAGE)?;
            let same = self.states.meta(path)? == self.states.meta(average)?;
            same.then(|| (path.to_owned(), average.to_owned()))
        };
        self.states.states().filter_map(|state| pair(&state.path)).collect()
    }

    /// Exchanges parameters and running statistics with the averages that training has kept of them; a second call exchanges them back. Fails where
    /// there are none. An average counts from the first compiled step that keeps it to the first that does not.
    pub fn swap_averages(&mut self) -> Result<(), NetworkError> {
        let averaged = self.averaged();
        if averaged.is_empty() {
            return Err(NetworkError::Argument("training has kept no averages".to_owned()));
        }
        for (path, average) in averaged {
            let (own, mean) = (self.state(&path)?, self.state(&average)?);
            self.set_state(&path, &mean)?;
            self.set_state(&average, &own)?;
        }
        Ok(())
    }
}
