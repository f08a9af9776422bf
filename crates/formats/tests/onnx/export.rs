use binary_nets_bits::BitLayout;
use binary_nets_formats::FormatError;
use binary_nets_formats::model::{Elements, Model};
use binary_nets_formats::onnx::{Form, export, import};
use binary_nets_graph::Window;
use binary_nets_graph::ops::{Affine, Border};
use binary_nets_graph::passes::{dce, evaluation, freeze};

use crate::network::{Builder, model};

/// How often each op occurs in what freezing makes of an import, states left out.
fn run_ops(bytes: &[u8]) -> Vec<String> {
    let imported = import(bytes, None).unwrap();
    let graph = evaluation(&imported.spec.graph(1, &[]).unwrap()).unwrap();
    ops(&dce(&freeze(&graph).unwrap().run).unwrap())
}

fn ops(graph: &binary_nets_graph::Graph) -> Vec<String> {
    let mut ops: Vec<String> = graph.nodes().iter().map(|node| node.op.name().to_owned()).collect();
    ops.retain(|op| !["state", "dequantize"].contains(&op.as_str()));
    ops.sort();
    ops
}

#[test]
fn an_export_is_imported_as_what_was_frozen() {
    let model = model();
    let expected = ops(&model.graph.graph(1, &[]).unwrap());
    for form in [Form::Portable, Form::Compact] {
        let file = export(&model, form).unwrap();
        assert_eq!(run_ops(&file), expected, "{form:?}");
        assert_eq!(import(&file, None).unwrap().metadata, model.metadata);
    }
}

#[test]
fn both_forms_say_the_same() {
    let [portable, compact] = [Form::Portable, Form::Compact].map(|form| export(&model(), form).unwrap());
    assert_eq!(import(&portable, None).unwrap(), import(&compact, None).unwrap());
}

#[test]
fn a_compact_weight_takes_a_bit() {
    let mut b = Builder::new();
    let border = binary_nets_graph::ops::Border { window: binary_nets_graph::Window::square(1, 1, 0), input: [3, 3] };
    let y = b.stem(128, border);
    let codes = binary_nets_graph::ops::Sign { gradient: binary_nets_graph::ops::Surrogate::Identity, groups: 1 };
    let codes = b.op(codes, &[y], "conv");
    let bits = b.weights("conv.bits", binary_nets_bits::Codes::Sign, [128, 3, 3, 128], |x| x % 2 == 0);
    let conv =
        binary_nets_graph::ops::BinaryConv2d { window: binary_nets_graph::Window::square(3, 1, 1), pad_value: 0 };
    let d = b.op(conv, &[codes, bits], "conv");
    let y = b.affine(d, 128, "bn");
    let model = b.finish(&[("map", y)]);
    let [portable, compact] = [Form::Portable, Form::Compact].map(|form| export(&model, form).unwrap().len());
    let weights = 128 * 128 * 9;
    // All but the weights is some thousand floats and a few dozen names.
    assert!((weights..weights + 10_000).contains(&portable), "{portable}");
    assert!((weights / 8..weights / 8 + 10_000).contains(&compact), "{compact}");
}

#[test]
fn imported_signs_are_the_bits() {
    let model = model();
    let imported = import(&export(&model, Form::Compact).unwrap(), None).unwrap();
    let signs = &imported.states.iter().find(|state| state.path.starts_with("conv2.weight")).unwrap().data;
    let constant = model.constants.iter().find(|constant| constant.path == "conv2.bits").unwrap();
    let Elements::Bits(words) = &constant.data else { panic!("no bits") };
    let layout = BitLayout { rows: 8 * 9, groups: 1, channels: 3 };
    for o in 0..8 {
        for c in 0..3 {
            for tap in 0..9 {
                let (word, bit) = layout.position(o * 9 + tap, 0, c);
                let expected = if words[word] >> bit & 1 == 1 { -1.0 } else { 1.0 };
                assert_eq!(signs[(o * 3 + c) * 9 + tap], expected, "{o} {c} {tap}");
            }
        }
    }
}

fn refusal(model: &Model) -> String {
    export(model, Form::Portable).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_written_is_said() {
    let mut without = model();
    without.constants.retain(|constant| constant.path != "bn2.a");
    assert_eq!(refusal(&without), "state at '' cannot be written as ONNX: the constant 'bn2.a' is missing");

    let mut wrong = model();
    let normalize = wrong.metadata.normalize.as_mut().unwrap();
    normalize.mean[1] += 0.01;
    assert!(
        refusal(&wrong).contains("affine at 'bn1'") && refusal(&wrong).contains("mean and std"),
        "{}",
        refusal(&wrong)
    );

    let mut unknown = model();
    unknown.metadata.normalize = None;
    assert!(refusal(&unknown).contains("mean and std"), "{}", refusal(&unknown));

    let mut short = model();
    let Elements::F32(data) = &mut short.constants.iter_mut().find(|c| c.path == "bn2.c").unwrap().data else {
        panic!("no floats")
    };
    data.pop();
    assert!(matches!(export(&short, Form::Compact), Err(FormatError::OnnxExport { op: "affine", .. })));
}

#[test]
fn an_affine_has_the_border_of_its_stem_or_is_refused() {
    let border = Border { window: Window::square(3, 1, 1), input: [6, 7] };
    let same_size = Border { window: Window::square(1, 1, 0), input: [6, 7] };
    for other in [None, Some(same_size)] {
        let mut b = Builder::new();
        b.stem(4, border);
        let d = b.graph.values().find(|&value| b.graph.producer(value).op.name() == "image_conv2d").unwrap();
        let a = b.floats("other.a", &[4]);
        let c = b.floats("other.c", if other.is_some() { &[1, 1, 4] } else { &[4] });
        let y = b.op(Affine { border: other }, &[d, a, c], "other");
        let model = b.finish(&[("map", y)]);
        // Without a border, it could come from anywhere, and a frozen network may have it.
        assert_eq!(model.check().is_ok(), other.is_none());
        let message = refusal(&model);
        assert!(message.contains("affine at 'other'") && message.contains("border"), "{message}");
    }
}
