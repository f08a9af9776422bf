//! Feature maps are channels-last here and channels-first in ONNX.

/// The axes of a value of this rank in the order in which ONNX keeps them: rows and columns of a map stand last, `[n, h, w, …, c]` as `[n, …, c, h, w]`.
pub fn channels_first(rank: usize) -> Vec<usize> {
    if rank < 4 { (0..rank).collect() } else { [0].into_iter().chain(3..rank).chain([1, 2]).collect() }
}

/// Where each axis went: the permutation that takes another one back.
pub fn inverse(order: &[usize]) -> Vec<usize> {
    let mut back = vec![0; order.len()];
    for (to, &from) in order.iter().enumerate() {
        back[from] = to;
    }
    back
}

/// Extents whose axis `i` is axis `order[i]` of others.
pub fn permuted_shape(shape: &[usize], order: &[usize]) -> Vec<usize> {
    order.iter().map(|&axis| shape[axis]).collect()
}

/// The elements of a tensor whose axis `i` is axis `order[i]` of another.
pub fn permuted<T: Copy>(data: &[T], shape: &[usize], order: &[usize]) -> Vec<T> {
    if order.is_sorted() || data.len() < 2 {
        return data.to_vec();
    }
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let (extents, steps) = (permuted_shape(shape, order), permuted_shape(&strides, order));
    let mut position = vec![0; order.len()];
    let mut offset = 0;
    let mut result = Vec::with_capacity(data.len());
    for _ in 0..data.len() {
        result.push(data[offset]);
        for axis in (0..order.len()).rev() {
            position[axis] += 1;
            offset += steps[axis];
            if position[axis] < extents[axis] {
                break;
            }
            offset -= position[axis] * steps[axis];
            position[axis] = 0;
        }
    }
    result
}

/// Whether reordering axes leaves the elements in their order, because all that move past each other have an extent of 1.
pub fn keeps_order(shape: &[usize], order: &[usize]) -> bool {
    order.iter().filter(|&&axis| shape[axis] != 1).is_sorted()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_move_behind_the_channels() {
        assert_eq!(channels_first(2), [0, 1]);
        assert_eq!(channels_first(4), [0, 3, 1, 2]);
        assert_eq!(channels_first(5), [0, 3, 4, 1, 2]);
        assert_eq!(inverse(&[0, 3, 4, 1, 2]), [0, 3, 4, 1, 2]);
        assert_eq!(inverse(&[0, 3, 1, 2]), [0, 2, 3, 1]);
    }

    #[test]
    fn elements_follow_their_axes() {
        let data: Vec<u8> = (0..6).collect();
        assert_eq!(permuted(&data, &[2, 3], &[1, 0]), [0, 3, 1, 4, 2, 5]);
        assert_eq!(permuted(&data, &[1, 2, 3], &[2, 0, 1]), [0, 3, 1, 4, 2, 5]);
        assert!(keeps_order(&[4, 1, 1, 5], &[0, 3, 1, 2]) && !keeps_order(&[4, 2, 1, 5], &[0, 3, 1, 2]));
    }
}
