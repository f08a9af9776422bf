//! The end of a ternary convolution as we write it.

use binary_nets_graph::ops::{Arithmetic, NegativeGradient, StateKind, TernarizeWeight, TernaryAffine, TernaryConv2d};
use binary_nets_graph::{Op, Value};

use super::Importer;
use super::node::Result;

impl Importer {
    /// `a_p·d_p − a_n·d_n + c` of two convolutions of the same codes, one with the positive weights alone, one with the negative ones, is the end of a
    /// ternary convolution as we write it.
    pub fn ternary_affine(&mut self, x: Value, c: &[f32]) -> Result<Option<Value>> {
        let node = self.graph.producer(x);
        if node.op != Op::Arithmetic(Arithmetic::SUB) {
            return Ok(None);
        }
        let mut sides = Vec::new();
        for &side in &node.inputs {
            let Some((product, scale)) = self.scale_of(self.graph.producer(side)) else { return Ok(None) };
            let conv = self.graph.producer(product);
            let Op::TernaryConv2d(op) = &conv.op else { return Ok(None) };
            let Op::State(latent) = &self.graph.producer(self.graph.producer(conv.inputs[1]).inputs[0]).op else {
                return Ok(None);
            };
            let weights = &self.states[&latent.path];
            let is_unit = conv.inputs[3..].iter().all(|&value| self.held(value) == Some(&[1.0][..]));
            if !is_unit || weights.data.iter().any(|&w| w < 0.0) {
                return Ok(None);
            }
            sides.push((op.clone(), conv.inputs[0], weights, scale, conv.inputs[3], conv.inputs[4]));
        }
        let [(op, codes, positive, a_p, w_p, w_n), (other, same_codes, negative, a_n, ..)] = &sides[..] else {
            return Ok(None);
        };
        let overlap = positive.data.iter().zip(&negative.data).any(|(p, n)| p * n != 0.0);
        let o = self.graph.meta(x).shape.channels();
        let are_vectors = [a_p, a_n].iter().all(|&&a| self.graph.meta(a).shape[..] == [o]);
        if op != other || codes != same_codes || positive.shape != negative.shape || overlap || !are_vectors {
            return Ok(None);
        }
        let latent: Vec<f32> = positive.data.iter().zip(&negative.data).map(|(p, n)| p - n).collect();
        let (op, codes, shape): (TernaryConv2d, _, _) = (op.clone(), *codes, positive.shape.clone());
        let (a_p, a_n, w_p, w_n) = (*a_p, *a_n, *w_p, *w_n);
        let c = if c.len() == 1 { vec![c[0]; o] } else { c.to_vec() };

        let latent = self.state("weight", StateKind::Latent, &shape, latent)?;
        let ternarize = TernarizeWeight { threshold: 0.5, negative_gradient: NegativeGradient::Exact };
        let planes = self.graph.add(ternarize, &[latent, w_p, w_n], &self.path)?;
        let d = self.graph.add(op, &[codes, planes[0], planes[1]], &self.path)?;
        let c = self.state("bias", StateKind::Parameter, &[o], c)?;
        Ok(Some(self.emit(TernaryAffine {}, &[d[0], d[1], a_p, a_n, c])?))
    }
}
