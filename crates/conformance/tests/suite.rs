//! The suite tests itself: it is complete, accepts a backend that is right, and notices one that is not.

use std::collections::{BTreeMap, BTreeSet};

use binary_nets_conformance::reference::{classes, evaluate};
use binary_nets_conformance::suite::{Case, Expected, Outputs, Values, cases, check};
use binary_nets_conformance::{Class, Tensor};
use binary_nets_graph::Op;
use serde::de::value::Error;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

/// The reference, its numbers rounded to what a backend can store.
fn rounded_reference(case: &Case) -> Result<Outputs, String> {
    let mut given = BTreeMap::new();
    let mut meanings = BTreeMap::new();
    for node in case.graph.nodes() {
        let name = match &node.op {
            Op::Input(op) => &op.name,
            Op::Scalar(op) => &op.name,
            Op::State(op) => &op.path,
            _ => continue,
        };
        let meta = case.graph.meta(node.outputs[0]);
        let numbers = case.inputs.tensors[name].numbers(meta.meaning).ok_or("an input of another meaning")?;
        given.insert(name.clone(), Tensor::new(meta.shape.clone(), numbers));
        meanings.insert(name.clone(), meta.meaning);
    }
    let reference = evaluate(&case.graph, &given, case.inputs.randomness).map_err(|e| e.to_string())?;
    let outputs = case.graph.outputs().iter();
    let outputs = outputs
        .map(|(name, v)| (name.clone(), Values::from_numbers(case.graph.meta(*v).meaning, &reference.value(*v).data)))
        .collect();
    let states = case.states().into_iter();
    let states = states
        .map(|path| (path.to_owned(), Values::from_numbers(meanings[path], &reference.states[path].data)))
        .collect();
    Ok(Outputs { outputs, states })
}

/// Moves one element by what must be noticed everywhere, also behind sums of numbers around 100: an integer or bit by one, a float by a hundredth.
fn spoil(values: &mut Values) {
    match values {
        Values::F32(data) => {
            if let Some(x) = data.last_mut() {
                *x += 1e-3 * x.abs() + 1e-2;
            }
        }
        Values::I64(data) => {
            if let Some(x) = data.last_mut() {
                *x += 1;
            }
        }
        Values::Codes(data) => {
            if let Some(x) = data.last_mut() {
                *x = i8::from(*x != 1);
            }
        }
    }
}

#[test]
fn accepts_the_rounded_reference_and_refuses_every_spoiled_result() {
    for case in cases() {
        let good = rounded_reference(&case).unwrap();
        assert!(!good.outputs.is_empty() || !good.states.is_empty(), "{} compares nothing", case.name);
        let expected = Expected::of(&case).unwrap();
        expected.check(&good).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        for name in good.outputs.keys() {
            let mut bad = good.clone();
            spoil(bad.outputs.get_mut(name).unwrap());
            assert!(expected.check(&bad).is_err(), "{}: output {name} is spoiled", case.name);
        }
        for path in good.states.keys() {
            let mut bad = good.clone();
            spoil(bad.states.get_mut(path).unwrap());
            assert!(expected.check(&bad).is_err(), "{}: state {path} is spoiled", case.name);
        }
    }
}

#[test]
fn refuses_missing_and_short_results() {
    let case = &cases()[0];
    assert!(check(case, &Outputs::default()).unwrap_err().contains("is missing"));
    let mut short = rounded_reference(case).unwrap();
    short.outputs.insert("y0".to_owned(), Values::F32(vec![0.0]));
    assert!(check(case, &short).unwrap_err().contains("elements"));
    short.outputs.insert("y0".to_owned(), Values::Codes(vec![0]));
    assert!(check(case, &short).unwrap_err().contains("is not of meaning f32"));
}

#[test]
fn names_are_unique() {
    let mut names = BTreeSet::new();
    for case in cases() {
        assert!(names.insert(case.name.clone()), "{} twice", case.name);
    }
}

/// The error of a result is that of its own op only if what the op reads has none.
#[test]
fn ops_under_test_read_exact_values() {
    for case in cases() {
        for node in case.graph.nodes() {
            for &input in &node.inputs {
                let producer = case.graph.producer(input);
                let result = producer.outputs.iter().position(|&v| v == input).unwrap();
                assert_eq!(
                    classes(&producer.op)[result],
                    Class::Exact,
                    "{}: {} reads {}",
                    case.name,
                    node.op.name(),
                    producer.op.name()
                );
            }
        }
    }
}

/// Listens to an enum asking for one of its variants, and so learns their names.
struct Variants<'n>(&'n mut Vec<&'static str>);

impl<'de> Deserializer<'de> for Variants<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.extend(variants);
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

#[test]
fn every_op_occurs() {
    let mut names = Vec::new();
    Op::deserialize(Variants(&mut names)).unwrap_err();
    assert!(names.contains(&"binary_conv2d"), "{names:?}");
    let cases = cases();
    let tested: BTreeSet<&str> = cases.iter().flat_map(|case| case.graph.nodes()).map(|node| node.op.name()).collect();
    let missing: Vec<_> = names.into_iter().filter(|name| !tested.contains(name)).collect();
    assert!(missing.is_empty(), "no case has {missing:?}");
}
