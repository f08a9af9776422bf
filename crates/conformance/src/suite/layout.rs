//! Ops that move elements.

use binary_nets_graph::ops::{
    BroadcastTo, Concat, Gather, OneHot, PadAxis, Repeat, Reshape, Scatter, Slice, Transpose,
};

use super::Case;
use super::builder::{Builder, Fill};

pub fn cases() -> Vec<Case> {
    [moves(), joins(), picks()].concat()
}

fn moves() -> Vec<Case> {
    let mut cases = Vec::new();
    for permutation in [vec![0, 3, 1, 2], vec![3, 2, 1, 0], vec![0, 1, 2, 3], vec![1, 0, 3, 2]] {
        let mut b = Builder::new(format!("transpose/{permutation:?}"));
        let x = b.input(&[3, 5, 7], Fill::Uniform(1.0));
        let y = b.op(Transpose { permutation }, &[x]);
        cases.push(b.outputs(&[y]));
    }
    for dims in [vec![0, -1], vec![-1], vec![0, 0, 7, 5], vec![6, -1, 7]] {
        let mut b = Builder::new(format!("reshape/{dims:?}"));
        let x = b.input(&[3, 5, 7], Fill::Uniform(1.0));
        let y = b.op(Reshape { dims }, &[x]);
        cases.push(b.outputs(&[y]));
    }
    for (from, to) in [
        (vec![65], vec![2, 3, 65]),
        (vec![2, 1, 5], vec![2, 3, 5]),
        (vec![], vec![3, 7]),
        (vec![2, 3, 1], vec![4, 2, 3, 65]),
    ] {
        let mut b = Builder::new(format!("broadcast_to/{from:?}/{to:?}"));
        let x = b.state(&from, Fill::Uniform(1.0));
        let y = b.op(BroadcastTo { shape: to.into() }, &[x]);
        cases.push(b.outputs(&[y]));
    }
    cases
}

fn joins() -> Vec<Case> {
    let mut cases = Vec::new();
    let extents = [2, 3, 5, 7];
    for axis in 0..4 {
        let mut b = Builder::new(format!("slice/axis{axis}"));
        let x = b.input(&extents[1..], Fill::Uniform(1.0));
        let end = extents[axis];
        let parts =
            [(0, 1), (end - 1, end), (0, end), (1, end)].map(|(start, end)| b.op(Slice { axis, start, end }, &[x]));
        cases.push(b.outputs(&parts));

        let mut b = Builder::new(format!("pad_axis/axis{axis}"));
        let x = b.input(&extents[1..], Fill::Uniform(1.0));
        let padded =
            [(0, 2), (3, 0), (1, 1), (0, 0)].map(|(before, after)| b.op(PadAxis { axis, before, after }, &[x]));
        cases.push(b.outputs(&padded));

        let mut b = Builder::new(format!("concat/axis{axis}"));
        let parts = [extents[axis], 1, 4].map(|extent| {
            let mut shape = extents;
            shape[axis] = extent;
            b.state(&shape, Fill::Uniform(1.0))
        });
        let joined = [b.op(Concat { axis }, &parts), b.op(Concat { axis }, &parts[1..2])];
        cases.push(b.outputs(&joined));

        let mut b = Builder::new(format!("repeat/axis{axis}"));
        let x = b.input(&extents[1..], Fill::Uniform(1.0));
        let repeated = [1, 2, 5].map(|times| b.op(Repeat { axis, times }, &[x]));
        cases.push(b.outputs(&repeated));
    }
    cases
}

fn picks() -> Vec<Case> {
    let mut cases = Vec::new();
    let extents = [2, 3, 5, 7];
    for axis in 1..4 {
        let mut sample = extents[1..].to_vec();
        let extent = sample.remove(axis - 1);

        let mut b = Builder::new(format!("gather/axis{axis}"));
        let x = b.input(&extents[1..], Fill::Uniform(1.0));
        let index = b.index(extent as u32, &sample);
        let y = b.op(Gather { axis }, &[x, index]);
        cases.push(b.outputs(&[y]));

        let mut b = Builder::new(format!("scatter/axis{axis}"));
        let index = b.index(extent as u32, &sample);
        let dy = b.input(&sample, Fill::Uniform(1.0));
        let dx = b.op(Scatter { axis, extent }, &[index, dy]);
        cases.push(b.outputs(&[dx]));
    }
    for (classes, sample) in [(1, vec![]), (10, vec![]), (65, vec![]), (7, vec![3, 5])] {
        let mut b = Builder::new(format!("one_hot/{classes}/{sample:?}"));
        let label = b.index(classes, &sample);
        let y = b.op(OneHot {}, &[label]);
        cases.push(b.outputs(&[y]));
    }
    let mut b = Builder::new("gather/label");
    let (x, label) = (b.input(&[65], Fill::Uniform(1.0)), b.label(65));
    let y = b.op(Gather { axis: 1 }, &[x, label]);
    cases.push(b.outputs(&[y]));
    cases
}
