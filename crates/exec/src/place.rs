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
}
