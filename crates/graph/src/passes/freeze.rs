//! From evaluation to the program that ships.

use std::collections::HashMap;

use crate::ops::{Affine, Border, FoldAffine, FoldStem, ImageConv2d, NormalizeImage, State, StateKind};
use crate::{Graph, GraphError, Init, Node, Op, Value};

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
    /// Exact integers of a binary convolution that α is yet to be multiplied to; whoever reads them folds α into its own constants.
    Scaled { d: Value, alpha: Value },
    /// A normalised image that a stem may fold into its weights.
    Image { pixels: Value, normalize: NormalizeImage, path: String },
    /// A convolution of a normalised image; whoever reads it folds the rest into its own constants.
    Stem { pixels: Value, weight: Value, fold: FoldStem, path: String },
}

/// Freezes an evaluation graph: constants are computed once; α, norms and image normalisation become one affine a channel behind exact integers;
/// the stem's weights become i16.
///
/// Folding is lazy: a convolution stays exact integers until something reads it. A norm takes α into its own affine; anything else gets an
/// affine of α alone, so asking for a layer's activation never changes what comes behind it.
pub fn freeze(graph: &Graph) -> Result<Frozen, GraphError> {
    let mut pass = Freeze {
        fold: Graph::new(graph.batch()),
        run: Graph::new(graph.batch()),
        forms: Vec::new(),
        unfolded: HashMap::new(),
    };
    for node in graph.nodes() {
        let forms = pass.node(node)?;
        pass.forms.extend(forms);
    }
    for (name, value) in graph.outputs() {
        let value = pass.dynamic(*value)?;
        pass.run.set_output(name, value);
    }
    Ok(Frozen { fold: pass.fold, run: pass.run })
}

struct Freeze {
    fold: Graph,
    run: Graph,
    /// By index of the source's values.
    forms: Vec<Form>,
    /// Run-graph values of those that somebody read as they are. Their forms stay, so that a norm may come later.
    unfolded: HashMap<Value, Value>,
}

impl Freeze {
    fn form(&self, value: Value) -> &Form {
        &self.forms[value.index()]
    }

    /// The fold-graph values of inputs, if all of them are constants.
    fn constants(&self, inputs: &[Value]) -> Option<Vec<Value>> {
        let constant = |v: &Value| if let Form::Constant { value, .. } = self.form(*v) { Some(*value) } else { None };
        inputs.iter().map(constant).collect()
    }

    fn node(&mut self, node: &Node) -> Result<Vec<Form>, GraphError> {
        match &node.op {
            Op::Input(_) | Op::Scalar(_) => return self.copy(node),
            Op::NormalizeImage(normalize) => {
                if let Form::Dynamic(pixels) = *self.form(node.inputs[0]) {
                    return Ok(vec![Form::Image { pixels, normalize: normalize.clone(), path: node.path.clone() }]);
                }
            }
            Op::Conv2d(conv) if conv.groups == 1 => {
                if let (Form::Image { pixels, normalize, .. }, Form::Constant { value, .. }) =
                    (self.form(node.inputs[0]), self.form(node.inputs[1]))
                {
                    let shape = &self.run.meta(*pixels).shape;
                    let border = Border { window: conv.window, input: [shape[1], shape[2]] };
                    let fold = FoldStem { border, mean: normalize.mean.clone(), std: normalize.std.clone(), eps: None };
                    return Ok(vec![Form::Stem { pixels: *pixels, weight: *value, fold, path: node.path.clone() }]);
                }
            }
            Op::BinaryConv2d(conv) => {
                if let Some(&[_, alpha]) = self.constants(&node.inputs[1..]).as_deref() {
                    let codes = self.dynamic(node.inputs[0])?;
                    let bits = self.dynamic(node.inputs[1])?;
                    let d = self.run.add_one(conv.clone(), &[codes, bits], &node.path)?;
                    return Ok(vec![Form::Scaled { d, alpha }]);
                }
            }
            Op::BatchNormInference(norm) => {
                if let Some(statistics) = self.constants(&node.inputs[1..]) {
                    return Ok(vec![Form::Dynamic(self.affine(
                        node.inputs[0],
                        Some((norm.eps, statistics)),
                        &node.path,
                    )?)]);
                }
            }
            _ => {}
        }
        let foldable = node.inputs.iter().all(|&v| matches!(self.form(v), Form::Constant { .. }));
        if !foldable {
            return self.copy(node);
        }
        let inputs = self.constants(&node.inputs).unwrap_or_default();
        let values = self.fold.add(node.op.clone(), &inputs, &node.path)?;
        let name = |i: usize| match &node.op {
            Op::State(state) => state.path.clone(),
            Op::BinarizeWeight(_) => format!("{}.{}", node.path, ["bits", "alpha"][i]),
            op => format!("{}.{}{}", node.path, op.name(), node.outputs[i].index()),
        };
        Ok(values.into_iter().enumerate().map(|(i, value)| Form::Constant { value, name: name(i) }).collect())
    }

    /// Copies a node into the run graph.
    fn copy(&mut self, node: &Node) -> Result<Vec<Form>, GraphError> {
        let inputs = node.inputs.iter().map(|&v| self.dynamic(v)).collect::<Result<Vec<_>, _>>()?;
        let outputs = self.run.add(node.op.clone(), &inputs, &node.path)?;
        Ok(outputs.into_iter().map(Form::Dynamic).collect())
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
            Form::Scaled { d, .. } => {
                let path = self.run.producer(d).path.clone();
                self.affine(value, None, &path)?
            }
            Form::Stem { path, .. } => self.affine(value, None, &path)?,
        };
        self.unfolded.insert(value, dynamic);
        Ok(dynamic)
    }

    /// A value of the fold graph as a state of the run graph.
    fn constant(&mut self, value: Value, name: &str) -> Result<Value, GraphError> {
        // A layer that is called twice folds twice, under names of their own.
        let taken = |name: &str| self.fold.outputs().iter().any(|(n, v)| n == name && *v != value);
        let mut name = name.to_owned();
        while taken(&name) {
            name.push('\'');
        }
        if let Some(node) = self.run.nodes().iter().find(|n| matches!(&n.op, Op::State(state) if state.path == name)) {
            return Ok(node.outputs[0]);
        }
        self.fold.set_output(&name, value);
        let meta = self.fold.meta(value).clone();
        let state = State {
            path: name,
            shape: meta.shape,
            kind: StateKind::Constant,
            init: Init::Constant(0.0),
            meaning: meta.meaning,
        };
        self.run.add_one(state, &[], "")
    }

    /// The affine of a norm over a value, or of that value's own scale alone.
    fn affine(&mut self, x: Value, norm: Option<(f64, Vec<Value>)>, path: &str) -> Result<Value, GraphError> {
        let (eps, statistics) = norm.map_or((None, Vec::new()), |(eps, statistics)| (Some(eps), statistics));
        // Two affines of one layer, with and without its norm, have constants of their own.
        let suffix = if eps.is_some() { "" } else { "scale." };
        let name = |part: &str| format!("{path}.{suffix}{part}");
        let (x, a, c, border) = match self.form(x).clone() {
            Form::Stem { pixels, weight, fold, .. } => {
                let border = fold.border;
                let inputs = [&[weight], &statistics[..]].concat();
                let folded = self.fold.add(FoldStem { eps, ..fold }, &inputs, path)?;
                let q = self.constant(folded[0], &name("q"))?;
                let d = self.run.add_one(ImageConv2d { border }, &[pixels, q], path)?;
                (d, folded[1], folded[2], Some(border))
            }
            Form::Scaled { d, alpha } => {
                let channels = self.run.meta(d).shape.channels();
                let inputs = [&[alpha], &statistics[..]].concat();
                let folded = self.fold.add(FoldAffine { channels, scale: true, eps }, &inputs, path)?;
                (d, folded[0], folded[1], None)
            }
            Form::Constant { .. } | Form::Dynamic(_) | Form::Image { .. } => {
                let x = self.dynamic(x)?;
                let channels = self.run.meta(x).shape.channels();
                let folded = self.fold.add(FoldAffine { channels, scale: false, eps }, &statistics, path)?;
                (x, folded[0], folded[1], None)
            }
        };
        let (a, c) = (self.constant(a, &name("a"))?, self.constant(c, &name("c"))?);
        self.run.add_one(Affine { border }, &[x, a, c], path)
    }
}
