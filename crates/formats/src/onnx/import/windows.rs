//! Where the taps of convolutions and pools lie.

use binary_nets_graph::ops::{AvgPool2d, MaxPool2d};
use binary_nets_graph::{Value, Window};

use super::Importer;
use super::node::{Node, Result, listed};
use super::term::{Map, Padded, Term};
use crate::onnx::axes::channels_first;

/// Pixels before and after each axis of an image.
pub type Pads = [[usize; 2]; 2];

/// The most pixels around an image.
const MOST_PADS: i64 = 1 << 20;

/// Strides and dilations of a node for a kernel of these extents, and its padding of an image of these.
pub fn window(node: &Node, kernel: [usize; 2], input: [usize; 2]) -> Result<(Window, Pads)> {
    if let Some(said) = node.pair("kernel_shape")?.filter(|said| *said != kernel) {
        return Err(format!("its kernel_shape is {said:?}, but its weights are {kernel:?}").into());
    }
    let stride = node.pair("strides")?.unwrap_or([1; 2]);
    let dilation = node.pair("dilations")?.unwrap_or([1; 2]);
    let window = Window { kernel, stride, padding: [0; 2], dilation };
    let pads = match node.string("auto_pad").unwrap_or("NOTSET") {
        "NOTSET" => {
            let pads = node.ints("pads").unwrap_or(&[0; 4]);
            if pads.len() != 4 || pads.iter().any(|pad| !(0..MOST_PADS).contains(pad)) {
                return Err(format!("its pads should be four numbers of 0 or more, not {}", listed(pads)).into());
            }
            let pads: Vec<usize> = pads.iter().map(|&pad| pad as usize).collect();
            [[pads[0], pads[2]], [pads[1], pads[3]]]
        }
        "VALID" => [[0; 2]; 2],
        same @ ("SAME_UPPER" | "SAME_LOWER") => [0, 1].map(|axis| {
            let reach = (kernel[axis] - 1) * dilation[axis] + 1;
            let covered = (input[axis].div_ceil(stride[axis]) - 1) * stride[axis] + reach;
            let total = covered.saturating_sub(input[axis]);
            let (less, more) = (total / 2, total - total / 2);
            if same == "SAME_UPPER" { [less, more] } else { [more, less] }
        }),
        other => return Err(format!("its auto_pad '{other}' is not known").into()),
    };
    Ok((window, pads))
}

/// What is around an image of a map whose second axis is that of the channels.
pub fn around(padded: &Padded) -> Result<Pads> {
    match &padded.pads[..] {
        &[[0, 0], [0, 0], rows, columns] => Ok([rows, columns]),
        _ => Err("something is put around other axes than rows and columns".into()),
    }
}

/// Padding that is the same before and after, if it is.
pub fn symmetric(pads: Pads) -> Option<[usize; 2]> {
    pads.iter().all(|[before, after]| before == after).then(|| [pads[0][0], pads[1][0]])
}

impl Importer {
    /// A pool's window over a map, what is around it, and whether the last window may reach over the end.
    fn pool(&mut self, node: &Node, x: &Term) -> Result<(Window, Pads, bool)> {
        let kernel = node.pair("kernel_shape")?.ok_or("it has no kernel_shape")?;
        let &[_, _, h, w] = &self.extents(x)[..] else { return Err("it does not read maps of rank 4".into()) };
        let (window, pads) = window(node, kernel, [h, w])?;
        let ceil = node.int("ceil_mode", 0) != 0;
        Ok((window, pads, ceil))
    }

    /// The largest under a window. Of codes it is the code of the largest.
    pub fn max_pool(&mut self, node: &Node, x: &Term) -> Result<Term> {
        if node.proto.output.iter().skip(1).any(|name| !name.is_empty()) {
            return Err("its indices are not computed".into());
        }
        if let Term::Codes(codes) = x
            && codes.low < codes.high
        {
            let source = self.max_of(node, &Term::Map(codes.source.clone()))?;
            return Ok(Term::Codes(super::term::Codes { source, ..codes.clone() }));
        }
        // What stands outside a maximum may be written out as a number that nothing is below.
        if let Term::Padded(padded) = x
            && padded.value <= f32::MIN / 2.0
        {
            let (mut window, pads, ceil) = self.pool(node, x)?;
            let padding = symmetric(around(padded)?).filter(|_| pads == Pads::default());
            window.padding = padding.ok_or("its padding is not the same on both sides")?;
            return Ok(Term::Map(self.max_with(&padded.inner, window, ceil)?));
        }
        Ok(Term::Map(self.max_of(node, x)?))
    }

    fn max_of(&mut self, node: &Node, x: &Term) -> Result<Map> {
        let (mut window, pads, ceil) = self.pool(node, x)?;
        if let Some(padding) = symmetric(pads) {
            window.padding = padding;
            return self.max_with(x, window, ceil);
        }
        let map = self.map(x)?;
        if self.range(map.value).low < 0.0 {
            return Err("its padding is not the same on both sides".into());
        }
        // Nothing is below 0, so zeroes never win.
        let padded = Self::padded(Term::Map(map), vec![[0; 2], [0; 2], pads[0], pads[1]], 0.0);
        self.max_with(&padded, window, ceil)
    }

    fn max_with(&mut self, x: &Term, window: Window, ceil: bool) -> Result<Map> {
        let map = self.map(x)?;
        let x = self.channels_last(&map)?;
        self.same_in_floor(x, window, ceil)?;
        Ok(Map { value: self.emit(MaxPool2d { window }, &[x])?, order: channels_first(4) })
    }

    /// Refuses a last window that reaches over the end.
    fn same_in_floor(&self, x: Value, window: Window, ceil: bool) -> Result<()> {
        let shape = self.shape(x);
        let input = [shape[1], shape[2]];
        let (floor, over) = (window.output(input), window.output_ceil(input));
        if ceil && floor != over {
            return Err("its last window reaches over the end of the map (ceil_mode)".into());
        }
        Ok(())
    }

    /// The mean under a window.
    pub fn average_pool(&mut self, node: &Node, x: &Term) -> Result<Map> {
        let (mut window, pads, ceil) = self.pool(node, x)?;
        window.padding = symmetric(pads).ok_or("its padding is not the same on both sides")?;
        let map = self.map(x)?;
        let x = self.channels_last(&map)?;
        if window.padding != [0, 0] {
            if node.int("count_include_pad", 0) == 0 {
                return Err("its means leave out the padding (count_include_pad is 0)".into());
            }
            self.same_in_floor(x, window, ceil)?;
        }
        let ceil = ceil && {
            let shape = self.shape(x);
            let input = [shape[1], shape[2]];
            window.output(input) != window.output_ceil(input)
        };
        Ok(Map { value: self.emit(AvgPool2d { window, ceil }, &[x])?, order: channels_first(4) })
    }
}
