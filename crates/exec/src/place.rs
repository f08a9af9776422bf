//! Offsets for slots whose lifetimes are known.

use crate::align;
use crate::liveness::Lifetime;

/// A slot to be placed.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Its size, in bytes.
    pub bytes: usize,
    /// When it holds something.
    pub lifetime: Lifetime,
}

/// Gives every request an aligned offset so that no two that live at the same time overlap; also the bytes needed in all.
///
/// Greedy, largest first, into the smallest gap that fits (Pisarchyk and Lee 2020).
pub fn place(requests: &[Request]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(requests[i].bytes), i));
    let mut offsets = vec![0; requests.len()];
    let mut placed: Vec<usize> = Vec::with_capacity(requests.len());
    let mut total = 0;
    for i in order {
        let request = requests[i];
        let mut neighbours: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&p| requests[p].lifetime.overlaps(&request.lifetime))
            .map(|&p| (offsets[p], align(offsets[p] + requests[p].bytes)))
            .collect();
        neighbours.sort_unstable();
        let (mut end, mut best) = (0, None);
        for (from, to) in neighbours {
            if from >= end + request.bytes && best.is_none_or(|(gap, _)| from - end < gap) {
                best = Some((from - end, end));
            }
            end = end.max(to);
        }
        offsets[i] = best.map_or(end, |(_, offset)| offset);
        total = total.max(align(offsets[i] + request.bytes));
        placed.push(i);
    }
    (offsets, total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ALIGNMENT;

    fn request(blocks: usize, first: usize, last: usize) -> Request {
        Request { bytes: blocks * ALIGNMENT, lifetime: Lifetime { first, last } }
    }

    #[test]
    fn slots_that_never_meet_share_memory() {
        let (offsets, total) = place(&[request(2, 0, 1), request(2, 2, 3), request(1, 1, 2)]);
        assert_eq!(offsets, [0, 0, 2 * ALIGNMENT]);
        assert_eq!(total, 3 * ALIGNMENT);
    }

    #[test]
    fn the_smallest_gap_that_fits_is_taken() {
        let (offsets, total) = place(&[request(4, 0, 9), request(3, 0, 4), request(2, 0, 9), request(1, 5, 9)]);
        assert_eq!(offsets, [0, 4 * ALIGNMENT, 7 * ALIGNMENT, 4 * ALIGNMENT]);
        assert_eq!(total, 9 * ALIGNMENT);
    }

    fn any_request() -> impl Strategy<Value = Request> {
        (prop_oneof![Just(0), 1..2000usize, 2000..100_000usize], 0..20usize, 0..20usize)
            .prop_map(|(bytes, a, b)| Request { bytes, lifetime: Lifetime { first: a.min(b), last: a.max(b) } })
    }

    proptest! {
        #[test]
        fn slots_that_live_at_the_same_time_never_overlap(requests in prop::collection::vec(any_request(), 0..40)) {
            let (offsets, total) = place(&requests);
            let range = |i: usize| offsets[i]..offsets[i] + requests[i].bytes;
            for i in 0..requests.len() {
                prop_assert_eq!(offsets[i] % ALIGNMENT, 0);
                prop_assert!(range(i).end <= total);
                for j in 0..i {
                    let apart = range(i).end <= range(j).start || range(j).end <= range(i).start;
                    let (a, b) = (requests[i].lifetime, requests[j].lifetime);
                    let together = (0..20).any(|t| (a.first..=a.last).contains(&t) && (b.first..=b.last).contains(&t));
                    prop_assert!(apart || !together, "{:?} at {}, {:?} at {}", requests[i], offsets[i], requests[j], offsets[j]);
                }
            }
            let needed = |t| requests.iter().filter(|r| (r.lifetime.first..=r.lifetime.last).contains(&t)).map(|r| align(r.bytes)).sum();
            let least: usize = (0..20).map(needed).max().unwrap_or(0);
            let most: usize = requests.iter().map(|r| align(r.bytes)).sum();
            prop_assert!((least..=most).contains(&total), "{least} ≤ {total} ≤ {most}");
        }
    }
}
