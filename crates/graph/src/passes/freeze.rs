//! From evaluation to the program that ships.

use std::collections::{HashMap, HashSet};

use crate::ops::{
    Affine, ArithmeticFunction, Border, Dequantize, FoldAffine, FoldStem, FoldStep, ImageConv2d, NormalizeImage,
    Quantize, QuantizeWeight, Reshape, RoundHalf, TernaryAffine, Transpose,
};
use crate::{Graph, GraphError, Node, Op, Value, Window};

use super::constants::Constants;
use super::dce::live;
use super::ends::{Ends, Range};

/// A frozen network as two graphs.
pub struct Frozen {
    /// From the network's states to constants, its named outputs; runs once.
    pub fold: Graph,
    /// From an image to the model's outputs, reading those constants as states of the same names.
    pub run: Graph,
}

/// What a value of the source has become.
#[derive(Clone)]
enum Form {
    /// A value of the fold graph: it depends on states alone. The name is the constant's.
    Constant { value: Value, name: String },
    /// A value of the run graph.
    Dynamic(Value),
    /// A normalised image that a stem may fold into its weights.
    Image { pixels: Value, normalize: NormalizeImage, path: String },
    /// Constants that are yet to be folded.
    Chain(Chain),
}

/// A run of foldable constants: a further constant makes it longer, and whoever reads it gets one affine of all.
#[derive(Clone)]
struct Chain {
    source: Source,
    steps: Vec<FoldStep>,
    /// What the steps take, in the fold graph.
    constants: Vec<Value>,
    /// Of the last step or, if there is none, of the source.
    path: String,
}

/// What a run of constants stands behind.
#[derive(Clone)]
enum Source {
    /// A value of the source graph, as it is.
    Value(Value),
    /// The integers of a binary convolution, in the run graph.
    Binary(Value),
    /// Those of a ternary convolution, and its `w_p` and `w_n` in the fold graph.
    Ternary { d: [Value; 2], values: [Value; 2] },
    /// A product of bytes: its output in the source graph, and its weights in the fold graph.
    Bytes { output: Value, bytes: Bytes, weight: Value },
}

/// What a convolution in integers reads: the pixels of an image, or a quantized map.
#[derive(Clone)]
struct Bytes {
    /// In the run graph.
    value: Value,
    border: Border,
    /// What they stand for, as [`FoldStem`] has it.
    mean: Vec<f64>,
    std: Vec<f64>,
}

/// Freezes an evaluation graph: constants are computed once; every run of scales α, norms and multiplications by constants becomes one affine
/// a channel, behind exact integers where it follows a convolution of bits or of bytes; the stem's weights become i16.
///
/// Folding is lazy: such a run is nothing until something reads it, and reading it does not end it: what is read gets an affine of its own, so
/// asking for a layer's activation never changes what comes behind it.
pub fn freeze(graph: &Graph) -> Result<Frozen, GraphError> {
    freeze_with(graph, &Freezing::default())
}

/// As [`freeze()`], as asked for.
pub fn freeze_with(graph: &Graph, freezing: &Freezing) -> Result<Frozen, GraphError> {
    let mut pass = Freeze {
        floats: freezing.floats,
        ends: &freezing.ends,
        graph,
        fold: Graph::new(graph.batch()),
        run: Graph::new(graph.batch()),
        forms: Vec::new(),
        constants: Constants::default(),
        unfolded: HashMap::new(),
        rounded: HashMap::new(),
        quantized: HashMap::new(),
        integers: HashMap::new(),
    };
    for node in graph.nodes() {
        let forms = pass.node(node)?;
        pass.forms.extend(forms);
    }
    let layers: HashSet<&String> = freezing.layers.iter().collect();
    let (aside, outputs): (Vec<_>, Vec<_>) = graph.outputs().iter().partition(|(name, _)| layers.contains(name));
    for (name, value) in outputs {
        let value = pass.dynamic(*value)?;
        pass.run.set_output(name, value);
    }
    let live = live(&pass.run);
    for (name, value) in aside {
        if let Some(value) = pass.known(*value).filter(|value| live[value.index()]) {
            pass.run.set_output(name, value);
        }
    }
    Ok(Frozen { fold: pass.fold, run: pass.run })
}

/// What is asked of [`freeze_with`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Freezing {
    /// How the weights of float products are kept.
    pub floats: Floats,
    /// How products of float maps are computed.
    pub ends: Ends,
    /// Outputs of the graph that are none of the result unless they come about on the way to the others.
    pub layers: Vec<String>,
}

/// How a frozen network keeps the constant weights of float products, `conv2d` and `matmul`. What it computes with them are f32 in any case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Floats {
    /// As they are.
    #[default]
    F32,
    /// Rounded to 16-bit floats.
    F16,
    /// Rounded to 8 bits, with a scale for each output.
    Int8,
}

struct Freeze<'g> {
    floats: Floats,
    ends: &'g Ends,
    graph: &'g Graph,
    fold: Graph,
    run: Graph,
    /// By index of the source's values.
    forms: Vec<Form>,
    constants: Constants,
    /// Run-graph values of those that somebody read as they are. Their forms stay, so that a run of constants may go on.
    unfolded: HashMap<Value, Value>,
    /// Weights in fewer bits, in the run graph; by value of the fold graph and axis of the outputs.
    rounded: HashMap<(Value, usize), Value>,
    /// Maps as bytes, in the run graph; by value of the source graph and stride.
    quantized: HashMap<(Value, [usize; 2]), Value>,
    /// The integers of products of bytes, in the run graph; by the product's output in the source graph.
    integers: HashMap<Value, Value>,
}

impl Freeze<'_> {
    fn form(&self, value: Value) -> &Form {
        &self.forms[value.index()]
    }

    /// A value of the source in the run graph, if it is there as it is.
    fn known(&self, value: Value) -> Option<Value> {
        match self.form(value) {
            Form::Dynamic(value) => Some(*value),
            Form::Constant { .. } | Form::Image { .. } | Form::Chain(_) => self.unfolded.get(&value).copied(),
        }
    }

    fn constant_of(&self, value: Value) -> Option<Value> {
        if let Form::Constant { value, .. } = self.form(value) { Some(*value) } else { None }
    }

    /// The fold-graph values of inputs, if all of them are constants.
    fn constants(&self, inputs: &[Value]) -> Option<Vec<Value>> {
        inputs.iter().map(|&v| self.constant_of(v)).collect()
    }

    fn node(&mut self, node: &Node) -> Result<Vec<Form>, GraphError> {
        let path = node.path.clone();
        match &node.op {
            Op::Input(_) | Op::Scalar(_) => return self.copy(node),
            Op::NormalizeImage(normalize) => {
                if let Form::Dynamic(pixels) = *self.form(node.inputs[0]) {
                    return Ok(vec![Form::Image { pixels, normalize: normalize.clone(), path }]);
                }
            }
            Op::Conv2d(conv) if conv.groups == 1 => {
                if let Some(weight) = self.constant_of(node.inputs[1])
                    && let Some(bytes) = self.bytes(node.inputs[0], conv.window, &path)?
                {
                    return Ok(vec![Self::of_bytes(node.outputs[0], bytes, weight, path)]);
                }
            }
            Op::Matmul(matmul) if !matmul.transpose_a => {
                let window = Window::square(1, 1, 0);
                if let Some(weight) = self.constant_of(node.inputs[1])
                    && let Some(bytes) = self.bytes(node.inputs[0], window, &path)?
                {
                    let rows = if matmul.transpose_b {
                        weight
                    } else {
                        self.fold.add_one(Transpose { permutation: vec![1, 0] }, &[weight], &path)?
                    };
                    let kernel = self.fold.add_one(Reshape { dims: vec![0, 0, 1, 1] }, &[rows], &path)?;
                    return Ok(vec![Self::of_bytes(node.outputs[0], bytes, kernel, path)]);
                }
            }
            Op::BinaryConv2d(conv) => {
                if let Some(&[_, alpha]) = self.constants(&node.inputs[1..]).as_deref() {
                    let inputs = self.all_dynamic(&node.inputs[..2])?;
                    let source = Source::Binary(self.run.add_one(conv.clone(), &inputs, &path)?);
                    let (steps, constants) = (vec![FoldStep::Scale], vec![alpha]);
                    return Ok(vec![Form::Chain(Chain { source, steps, constants, path })]);
                }
            }
            Op::TernaryConv2d(conv) => {
                if let Some(&[_, _, w_p, w_n]) = self.constants(&node.inputs[1..]).as_deref() {
                    let inputs = self.all_dynamic(&node.inputs[..3])?;
                    let d = self.run.add(conv.clone(), &inputs, &path)?;
                    let source = Source::Ternary { d: [d[0], d[1]], values: [w_p, w_n] };
                    return Ok(vec![Form::Chain(Chain { source, steps: Vec::new(), constants: Vec::new(), path })]);
                }
            }
            Op::BatchNormInference(norm) => {
                if let Some(statistics) = self.constants(&node.inputs[1..]) {
                    return Ok(vec![self.longer(node.inputs[0], FoldStep::Norm { eps: norm.eps }, &statistics, path)]);
                }
            }
            Op::Arithmetic(arithmetic) if arithmetic.function == ArithmeticFunction::Mul => {
                if let Some((x, factor)) = self.scaling(node) {
                    return Ok(vec![self.longer(x, FoldStep::Scale, &[factor], path)]);
                }
            }
            _ => {}
        }
        let Some(inputs) = self.constants(&node.inputs) else { return self.copy(node) };
        let values = self.fold.add(node.op.clone(), &inputs, &node.path)?;
        let name = |i: usize| match &node.op {
            Op::State(state) => state.path.clone(),
            Op::BinarizeWeight(_) => format!("{}.{}", node.path, ["bits", "alpha"][i]),
            Op::TernarizeWeight(_) => format!("{}.{}", node.path, ["positive", "negative"][i]),
            op => format!("{}.{}{}", node.path, op.name(), node.outputs[i].index()),
        };
        Ok(values.into_iter().enumerate().map(|(i, value)| Form::Constant { value, name: name(i) }).collect())
    }

    /// A product of bytes, with nothing behind it yet.
    fn of_bytes(output: Value, bytes: Bytes, weight: Value, path: String) -> Form {
        let source = Source::Bytes { output, bytes, weight };
        Form::Chain(Chain { source, steps: Vec::new(), constants: Vec::new(), path })
    }

    /// The bytes that a product reads in place of a map: the pixels of an image, or the map quantized where its range is known. A matrix is a map of one pixel.
    fn bytes(&mut self, x: Value, window: Window, path: &str) -> Result<Option<Bytes>, GraphError> {
        let border = |shape: &[usize], window| Border { window, input: [shape[1], shape[2]] };
        let rank = self.graph.meta(x).shape.len();
        if let (Form::Image { pixels, normalize: NormalizeImage { mean, std }, .. }, 4) = (self.form(x), rank) {
            let border = border(&self.run.meta(*pixels).shape, window);
            return Ok(Some(Bytes { value: *pixels, border, mean: mean.clone(), std: std.clone() }));
        }
        let Some((factor, zero)) = self.range(x).map(Range::code) else { return Ok(None) };
        // Pixels that a window of one steps over are not even quantized.
        let alone = window.kernel == [1, 1] && window.padding == [0, 0];
        let stride = if alone { window.stride } else { [1, 1] };
        let value = if let Some(&known) = self.quantized.get(&(x, stride)) {
            known
        } else {
            let mut map = self.dynamic(x)?;
            if rank == 2 {
                map = self.run.add_one(Reshape { dims: vec![0, 1, 1, -1] }, &[map], path)?;
            }
            let bytes = self.run.add_one(Quantize { factor, zero, stride }, &[map], path)?;
            self.quantized.insert((x, stride), bytes);
            bytes
        };
        let window = if alone { Window::square(1, 1, 0) } else { window };
        let border = border(&self.run.meta(value).shape, window);
        let (mean, std) = (vec![f64::from(zero) / 255.0], vec![f64::from(factor) / 255.0]);
        Ok(Some(Bytes { value, border, mean, std }))
    }

    /// The range of a map that is to be quantized.
    fn range(&self, map: Value) -> Option<Range> {
        match self.ends {
            Ends::F32 => None,
            Ends::Int8(ranges) => ranges.get(&map).copied(),
        }
    }

    /// The operands of a product, if one is a constant with a number for all or for each channel of the other, which is none.
    fn scaling(&self, node: &Node) -> Option<(Value, Value)> {
        let &[left, right] = &node.inputs[..] else { return None };
        [(left, right), (right, left)].into_iter().find_map(|(x, factor)| {
            let [shape, scales] = [x, factor].map(|v| &self.graph.meta(v).shape);
            let by_channel = scales.len() <= 1 && [1, shape.channels()].contains(&scales.elements());
            // The only axis of a vector is that of the batch.
            let stays = shape.len() >= 2 && self.graph.meta(node.outputs[0]).shape == *shape;
            let dynamic = self.constant_of(x).is_none();
            if dynamic && stays && by_channel { Some((x, self.constant_of(factor)?)) } else { None }
        })
    }

    /// The run of constants that ends in a value, or starts behind it, with one more step.
    fn longer(&self, x: Value, step: FoldStep, constants: &[Value], path: String) -> Form {
        let mut chain = match self.form(x) {
            Form::Chain(chain) => chain.clone(),
            Form::Constant { .. } | Form::Dynamic(_) | Form::Image { .. } => {
                let source = Source::Value(x);
                Chain { source, steps: Vec::new(), constants: Vec::new(), path: String::new() }
            }
        };
        chain.steps.push(step);
        chain.constants.extend(constants);
        Form::Chain(Chain { path, ..chain })
    }

    /// Copies a node into the run graph.
    fn copy(&mut self, node: &Node) -> Result<Vec<Form>, GraphError> {
        let axis = match &node.op {
            Op::Conv2d(_) => Some(0),
            Op::Matmul(matmul) => Some(usize::from(!matmul.transpose_b)),
            _ => None,
        };
        let inputs = match (axis, &node.inputs[..]) {
            (Some(axis), &[x, weight]) => vec![self.dynamic(x)?, self.weight(weight, axis, &node.path)?],
            _ => self.all_dynamic(&node.inputs)?,
        };
        let outputs = self.run.add(node.op.clone(), &inputs, &node.path)?;
        Ok(outputs.into_iter().map(Form::Dynamic).collect())
    }

    /// The weights of a float product in the run graph, in as many bits as asked for.
    fn weight(&mut self, weight: Value, axis: usize, path: &str) -> Result<Value, GraphError> {
        let Form::Constant { value, name } = self.form(weight).clone() else { return self.dynamic(weight) };
        if let Some(&known) = self.rounded.get(&(value, axis)) {
            return Ok(known);
        }
        let kept = match self.floats {
            Floats::F32 => return self.constant(value, &name),
            Floats::F16 => {
                let half = self.fold.add_one(RoundHalf {}, &[value], path)?;
                self.constant(half, &name)?
            }
            Floats::Int8 => {
                let quantized = self.fold.add(QuantizeWeight { axis }, &[value], path)?;
                let q = self.constant(quantized[0], &format!("{name}.q"))?;
                let s = self.constant(quantized[1], &format!("{name}.s"))?;
                self.run.add_one(Dequantize { axis }, &[q, s], path)?
            }
        };
        self.rounded.insert((value, axis), kept);
        Ok(kept)
    }

    /// Values of the source as ones of the run graph.
    fn all_dynamic(&mut self, values: &[Value]) -> Result<Vec<Value>, GraphError> {
        values.iter().map(|&v| self.dynamic(v)).collect()
    }

    /// A value of the source as one of the run graph.
    fn dynamic(&mut self, value: Value) -> Result<Value, GraphError> {
        if let Some(&known) = self.unfolded.get(&value) {
            return Ok(known);
        }
        let dynamic = match self.form(value).clone() {
            Form::Dynamic(value) => return Ok(value),
            Form::Constant { value, name } => return self.constant(value, &name),
            Form::Image { pixels, normalize, path } => self.run.add_one(normalize, &[pixels], &path)?,
            Form::Chain(Chain { source: Source::Value(_), steps, .. }) if steps[..] == [FoldStep::Scale] => {
                // A product alone stays one: there is nothing to fold.
                let node = self.graph.producer(value);
                let inputs = self.all_dynamic(&node.inputs)?;
                self.run.add_one(node.op.clone(), &inputs, &node.path)?
            }
            Form::Chain(chain) => self.affine(chain)?,
        };
        self.unfolded.insert(value, dynamic);
        Ok(dynamic)
    }

    /// A value of the fold graph as a state of the run graph.
    fn constant(&mut self, value: Value, name: &str) -> Result<Value, GraphError> {
        self.constants.read(&mut self.fold, &mut self.run, value, name)
    }

    /// The integers of a product of bytes. The steps behind it have no part in its weights q, so all runs of constants share the first one's.
    fn integers(&mut self, output: Value, bytes: Value, q: Value, border: Border) -> Result<Value, GraphError> {
        if let Some(&d) = self.integers.get(&output) {
            return Ok(d);
        }
        let path = self.graph.producer(output).path.clone();
        let q = self.constant(q, &format!("{path}.q"))?;
        let d = self.run.add_one(ImageConv2d { border }, &[bytes, q], &path)?;
        self.integers.insert(output, d);
        Ok(d)
    }

    /// The one affine of a run of constants.
    fn affine(&mut self, chain: Chain) -> Result<Value, GraphError> {
        let Chain { source, steps, constants, path } = chain;
        // Two affines of one layer, with and without its norm, have constants of their own.
        let suffix = if matches!(steps.last(), Some(FoldStep::Norm { .. })) { "" } else { "scale." };
        let name = |part: &str| format!("{path}.{suffix}{part}");
        // Of a matrix product, which is a convolution of maps of one pixel, 2.
        let mut rank = 4;
        let (x, border, folded) = match source {
            Source::Value(x) => {
                let x = self.dynamic(x)?;
                let fold = FoldAffine { channels: self.run.meta(x).shape.channels(), steps };
                (x, None, self.fold.add(fold, &constants, &path)?)
            }
            Source::Binary(d) => {
                let fold = FoldAffine { channels: self.run.meta(d).shape.channels(), steps };
                (d, None, self.fold.add(fold, &constants, &path)?)
            }
            Source::Ternary { d, values } => {
                let steps = [&[FoldStep::Scale], &steps[..]].concat();
                let fold = FoldAffine { channels: self.run.meta(d[0]).shape.channels(), steps };
                // Both affines have the same c.
                let mut sides = Vec::new();
                for w in values {
                    sides.push(self.fold.add(fold.clone(), &[&[w], &constants[..]].concat(), &path)?);
                }
                let a_p = self.constant(sides[0][0], &name("a_p"))?;
                let a_n = self.constant(sides[1][0], &name("a_n"))?;
                let c = self.constant(sides[0][1], &name("c"))?;
                return self.run.add_one(TernaryAffine {}, &[d[0], d[1], a_p, a_n, c], &path);
            }
            Source::Bytes { output, bytes: Bytes { value, border, mean, std }, weight } => {
                let largest = if *self.ends == Ends::F32 { 32767 } else { 127 };
                let fold = FoldStem { border, mean, std, largest, steps };
                let folded = self.fold.add(fold, &[&[weight], &constants[..]].concat(), &path)?;
                rank = self.graph.meta(output).shape.len();
                (self.integers(output, value, folded[0], border)?, Some(border), folded[1..].to_vec())
            }
        };
        let (a, c) = (self.constant(folded[0], &name("a"))?, self.constant(folded[1], &name("c"))?);
        let y = self.run.add_one(Affine { border }, &[x, a, c], &path)?;
        if rank == 2 { self.run.add_one(Reshape { dims: vec![0, -1] }, &[y], &path) } else { Ok(y) }
    }
}
