//! A few things by name, of which the one that was not used for the longest time gives way.

/// How many there are at most. What a network is asked for at the same time are its outputs and, now and then, some layers.
const MOST: usize = 4;

/// Things by the names of outputs, the latest used last.
pub(crate) struct Recent<T>(Vec<(Vec<String>, T)>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Recent<T> {
    /// Takes out what goes by these names.
    pub fn take(&mut self, names: &[&str]) -> Option<T> {
        let at = self.0.iter().position(|(known, _)| known.iter().eq(names))?;
        Some(self.0.remove(at).1)
    }

    /// Puts in what goes by these names, as the latest used.
    pub fn put(&mut self, names: &[&str], value: T) {
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push((names.iter().map(|&name| name.to_owned()).collect(), value));
    }

    /// All of them.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_the_longest_time_gives_way() {
        let mut recent = Recent::default();
        for (i, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
            recent.put(&[name, "x"], i);
        }
        let a = recent.take(&["a", "x"]);
        assert_eq!((a, recent.take(&["a"]), recent.take(&["x", "a"])), (Some(0), None, None));
        recent.put(&["a", "x"], 0);
        recent.put(&["e"], 4);
        assert_eq!(recent.values().copied().collect::<Vec<_>>(), [2, 3, 0, 4]);
    }
}
