use std::collections::BTreeMap;

use super::{Sampler, order_random};
use crate::DataError;

/// Batches of P identities with K images each, for the batch-hard triplet loss (Hermans, Beyer, Leibe 2017).
///
/// Each epoch deals the images of an identity, shuffled, into hands of K; those that do not fill a hand sit the epoch
/// out. An identity with fewer than K images gets one hand in which they repeat in turn; no other repeats an image
/// within an epoch. The epoch has as many batches of P different identities as the hands allow, always the same number.
#[derive(Clone, Debug)]
pub struct Balanced {
    /// The samples of each identity.
    groups: Vec<Vec<u32>>,
    identities: usize,
    images: usize,
    batches: usize,
    seed: u64,
}

impl Balanced {
    /// Batches of `identities` times `images` samples out of those whose identities are `labels`.
    ///
    /// Fails when either is zero or when there are fewer identities than a batch asks for.
    pub fn new(labels: &[u32], identities: usize, images: usize, seed: u64) -> Result<Self, DataError> {
        if images == 0 {
            return Err(DataError::option("imagesPerIdentity", "at least 1", &images));
        }
        let mut by_label = BTreeMap::<u32, Vec<u32>>::new();
        for (index, &label) in labels.iter().enumerate() {
            by_label.entry(label).or_default().push(index as u32);
        }
        let groups: Vec<_> = by_label.into_values().collect();
        if identities == 0 || identities > groups.len() {
            let expected = format!("1 to {}, the identities of the dataset", groups.len());
            return Err(DataError::option("identities", expected, &identities));
        }
        // An identity fills at most one place of each batch, so b batches need `identities * b` hands when no identity
        // gives more than b. Each further batch adds no more hands than the one before: the first b that fails ends it.
        let hands: Vec<usize> = groups.iter().map(|group| (group.len() / images).max(1)).collect();
        let enough = |b: &usize| hands.iter().map(|hands| hands.min(b)).sum::<usize>() >= identities * b;
        let batches = (1..=labels.len()).take_while(enough).count();
        Ok(Self { groups, identities, images, batches, seed })
    }
}

impl Sampler for Balanced {
    fn len(&self) -> usize {
        self.batches * self.identities * self.images
    }

    fn batch_size(&self) -> Option<usize> {
        Some(self.identities * self.images)
    }

    fn order(&self, epoch: u64) -> Vec<u32> {
        let random = order_random(self.seed, epoch);
        let mut groups: Vec<usize> = (0..self.groups.len()).collect();
        random.child(0).shuffle(&mut groups);
        let mut hands: Vec<u32> = Vec::new();
        for group in groups {
            let mut samples = self.groups[group].clone();
            random.child(1).child(group as u64).shuffle(&mut samples);
            let dealt = (samples.len() / self.images).clamp(1, self.batches) * self.images;
            hands.extend(samples.iter().cycle().take(dealt));
        }
        // The hands fill a table of `identities` columns, one column after the other; its rows are the batches. An
        // identity's hands lie in a run no longer than a column, so no row meets an identity twice.
        let mut rows: Vec<usize> = (0..self.batches).collect();
        random.child(2).shuffle(&mut rows);
        let mut order = Vec::with_capacity(self.len());
        for row in rows {
            for column in 0..self.identities {
                let hand = column * self.batches + row;
                order.extend_from_slice(&hands[hand * self.images..][..self.images]);
            }
        }
        order
    }
}
