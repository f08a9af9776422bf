//! Element-wise ops, masks, dropout.

use binary_nets_graph::ops::{
    ApplyMask, Arithmetic, ArithmeticFunction, Clamp, Compare, Comparison, Constant, Dropout, Fill as FillOp,
    IntervalMask, NormalizeImage, Prelu, Relu, Select, Step, StopGradient, Surrogate, Unary, UnaryFunction,
};

use super::Case;
use super::builder::{Builder, CHANNELS, Fill};

/// Shapes of two operands: equal, stretched at either end, in the middle, on either side, and a single number.
const PAIRS: [(&[usize], &[usize]); 9] = [
    (&[3, 7], &[2, 3, 7]),
    (&[3, 7], &[7]),
    (&[3, 7], &[3, 1]),
    (&[3, 7], &[2, 1, 7]),
    (&[3, 7], &[2, 3, 1]),
    (&[3, 7], &[]),
    (&[1, 7], &[2, 3, 1]),
    (&[5, 6, 65], &[65]),
    (&[1031], &[2, 1031]),
];

pub fn cases() -> Vec<Case> {
    [arithmetic(), comparisons(), unary(), masks(), dropout(), constants()].concat()
}

fn pair_name(op: &str, pair: usize) -> String {
    format!("{op}/{:?}{:?}", PAIRS[pair].0, PAIRS[pair].1)
}

fn arithmetic() -> Vec<Case> {
    let functions = [
        ArithmeticFunction::Add,
        ArithmeticFunction::Sub,
        ArithmeticFunction::Mul,
        ArithmeticFunction::Div,
        ArithmeticFunction::Min,
        ArithmeticFunction::Max,
    ];
    let mut cases = Vec::new();
    for function in functions {
        for (pair, (sample, other)) in PAIRS.iter().enumerate() {
            let mut b = Builder::new(pair_name(&format!("arithmetic/{function:?}"), pair));
            let x = b.input(sample, Fill::Coarse);
            let divides = function == ArithmeticFunction::Div;
            let y = b.state(other, if divides { Fill::Positive } else { Fill::Turning });
            let forward = b.op(Arithmetic { function }, &[x, y]);
            let backward = if divides { forward } else { b.op(Arithmetic { function }, &[y, x]) };
            cases.push(b.outputs(&[forward, backward]));
        }
    }
    let mut b = Builder::new("scalar/mul");
    let x = b.input(&[13], Fill::Uniform(8.0));
    let factor = b.scalar(0.37);
    let y = b.op(Arithmetic::MUL, &[x, factor]);
    cases.push(b.outputs(&[y]));
    cases
}

fn comparisons() -> Vec<Case> {
    let mut cases = Vec::new();
    for comparison in
        [Comparison::Less, Comparison::LessEqual, Comparison::Greater, Comparison::GreaterEqual, Comparison::Equal]
    {
        for (pair, (sample, other)) in PAIRS.iter().enumerate() {
            let mut b = Builder::new(pair_name(&format!("compare/{comparison:?}"), pair));
            let x = b.input(sample, Fill::Turning);
            let y = b.state(other, Fill::Coarse);
            let bits = b.op(Compare { comparison }, &[x, y]);
            cases.push(b.outputs(&[bits]));
        }
    }
    for (pair, (sample, other)) in PAIRS.iter().enumerate() {
        let mut b = Builder::new(pair_name("select", pair));
        let x = b.input(sample, Fill::Turning);
        let y = b.state(other, Fill::Coarse);
        let mask = b.op(Compare { comparison: Comparison::Less }, &[x, y]);
        let zero = b.state(&[], Fill::Uniform(1.0));
        let picked =
            [b.op(Select {}, &[mask, x, y]), b.op(Select {}, &[mask, y, x]), b.op(Select {}, &[mask, zero, x])];
        cases.push(b.outputs(&picked));
    }
    cases
}

fn unary() -> Vec<Case> {
    let mut cases = Vec::new();
    for n in [1, 7, 130, 1031] {
        for (function, fill) in [
            (UnaryFunction::Neg, Fill::Turning),
            (UnaryFunction::Abs, Fill::Turning),
            (UnaryFunction::Exp, Fill::Uniform(1.0)),
            (UnaryFunction::Exp, Fill::Uniform(64.0)),
            (UnaryFunction::Log, Fill::Positive),
            (UnaryFunction::Log, Fill::Offset),
            (UnaryFunction::Sqrt, Fill::Positive),
            (UnaryFunction::Sqrt, Fill::Offset),
            (UnaryFunction::Tanh, Fill::Turning),
            (UnaryFunction::Tanh, Fill::Uniform(64.0)),
            (UnaryFunction::PowerOfTwo, Fill::Positive),
            (UnaryFunction::PowerOfTwo, Fill::Offset),
        ] {
            let mut b = Builder::new(format!("unary/{function:?}/{n}/{}", cases.len() % 12));
            let x = b.input(&[n], fill);
            let y = b.op(Unary { function }, &[x]);
            cases.push(b.outputs(&[y]));
        }
        let mut b = Builder::new(format!("unary/ends/{n}"));
        let x = b.state(&[n], Fill::Positive);
        b.overwrite(x, [(0, 0.0)]);
        let ends =
            [b.op(Unary { function: UnaryFunction::Sqrt }, &[x]), b.op(Unary { function: UnaryFunction::Exp }, &[x])];
        cases.push(b.outputs(&ends));
    }
    cases.push(powers_of_two());
    cases
}

/// Where the rounding of the logarithm turns: the two numbers around each power of two times √2, and both ends of f32.
fn powers_of_two() -> Case {
    let below = std::f32::consts::SQRT_2;
    assert!(f64::from(below).powi(2) < 2.0 && f64::from(below.next_up()).powi(2) > 2.0);
    let mut points = vec![0.0, f32::from_bits(1), f32::from_bits(3), f32::MIN_POSITIVE, below * 127f32.exp2()];
    for exponent in -126..=126 {
        let power = (f64::from(exponent)).exp2() as f32;
        points.extend([power, below * power, below.next_up() * power, power.next_down()]);
    }
    let mut b = Builder::new("unary/PowerOfTwo/turns");
    let x = b.state(&[points.len()], Fill::Positive);
    b.overwrite(x, points.into_iter().enumerate());
    let y = b.op(Unary { function: UnaryFunction::PowerOfTwo }, &[x]);
    b.outputs(&[y])
}

fn masks() -> Vec<Case> {
    let mut cases = Vec::new();
    for c in CHANNELS {
        let mut b = Builder::new(format!("relu/c{c}"));
        let x = b.input(&[3, 2, c], Fill::Turning);
        let y = b.op(Relu {}, &[x]);
        cases.push(b.outputs(&[y]));

        for (which, slopes) in [("shared", 1), ("own", c)] {
            for sample in [vec![c], vec![3, 2, c]] {
                let mut b = Builder::new(format!("prelu/{which}/{sample:?}"));
                let x = b.input(&sample, Fill::Turning);
                let slope = b.state(&[slopes], Fill::Turning);
                let y = b.op(Prelu {}, &[x, slope]);
                cases.push(b.outputs(&[y]));
            }
        }

        let mut b = Builder::new(format!("stop_gradient/c{c}"));
        let x = b.input(&[c], Fill::Uniform(1.0));
        let y = b.op(StopGradient {}, &[x]);
        cases.push(b.outputs(&[y]));

        for (min, max) in [(-1.0, 1.0), (0.0, 1.0), (-0.5, 0.5), (1.0, 1.0)] {
            let mut b = Builder::new(format!("clamp/{min}..{max}/c{c}"));
            let x = b.input(&[3, 2, c], Fill::Turning);
            let y = b.op(Clamp { min, max }, &[x]);
            cases.push(b.outputs(&[y]));

            let mut b = Builder::new(format!("interval_mask/{min}..{max}/c{c}"));
            let x = b.input(&[3, 2, c], Fill::Turning);
            let bits = b.op(IntervalMask { min, max, flat: false }, &[x]);
            cases.push(b.outputs(&[bits]));
        }
        for (scale, kernel) in [(1.0, [3, 3]), (2.0, [1, 1]), (1.0, [1, 5])] {
            let mut b = Builder::new(format!("flat mask/{scale}/{kernel:?}/c{c}"));
            let w = b.state(&[6, c, kernel[0], kernel[1]], Fill::Turning);
            let mask = b.op(IntervalMask { min: -1.0, max: 1.0, flat: true }, &[w]);
            let dy = b.state(&[6, c, kernel[0], kernel[1]], Fill::Uniform(1.0));
            let y = b.op(ApplyMask { scale }, &[mask, dy]);
            cases.push(b.outputs(&[mask, y]));
        }
        for scale in [1.0, 1.0 / 0.7] {
            let mut b = Builder::new(format!("apply_mask/{scale}/c{c}"));
            let x = b.input(&[3, 2, c], Fill::Turning);
            let mask = b.op(Step { gradient: Surrogate::Identity, groups: 1 }, &[x]);
            let dy = b.state(&[2, 3, 2, c], Fill::Uniform(1.0));
            let y = b.op(ApplyMask { scale }, &[mask, dy]);
            cases.push(b.outputs(&[y]));
        }
    }
    cases
}

fn dropout() -> Vec<Case> {
    let mut cases = Vec::new();
    for c in CHANNELS {
        for (p, stream, step) in [(0.0, 0, 0), (0.3, 1, 0), (0.3, 2, 0), (0.3, 1, 1), (0.9, 3, 7)] {
            let mut b = Builder::new(format!("dropout/{p}/stream{stream}/step{step}/c{c}"));
            let x = b.input(&[3, c], Fill::Uniform(1.0));
            let outputs = b.ops(Dropout { p, stream }, &[x]);
            cases.push(b.at_step(step, &outputs));
        }
    }
    cases
}

fn constants() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in [vec![], vec![7], vec![2, 3, 65]] {
        let mut b = Builder::new(format!("fill/{shape:?}"));
        let y = b.op(FillOp { value: 0.1, shape: shape.into() }, &[]);
        cases.push(b.outputs(&[y]));
    }
    for shape in [vec![], vec![7], vec![2, 3, 65]] {
        let mut b = Builder::new(format!("constant/{shape:?}"));
        let n: usize = shape.iter().product();
        let values = (0..n).map(|i| i as f32 / 3.0 - 1.0).collect();
        let y = b.op(Constant { values, shape: shape.into() }, &[]);
        cases.push(b.outputs(&[y]));
    }
    for (mean, std) in [(vec![0.1307], vec![0.3081]), (vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225])] {
        let mut b = Builder::new(format!("normalize_image/c{}", mean.len()));
        let x = b.image(&[9, 11, mean.len()]);
        let y = b.op(NormalizeImage { mean, std }, &[x]);
        cases.push(b.outputs(&[y]));
    }
    cases
}
