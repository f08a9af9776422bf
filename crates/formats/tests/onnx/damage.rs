//! No file is a panic, or more memory than it may take.

use std::sync::LazyLock;

use binary_nets_formats::onnx::{Form, export, import};
use proptest::prelude::*;

use crate::network::model;

static FILES: LazyLock<[Vec<u8>; 2]> =
    LazyLock::new(|| [Form::Portable, Form::Compact].map(|form| export(&model(), form).unwrap()));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn changed_bytes_are_no_panic(
        which in 0..2usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        end in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut file = FILES[which].clone();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some(end) = end {
            file.truncate(end.index(file.len()));
        }
        // Nothing is asked but that it ends; and what is read is a graph.
        if let Ok(imported) = import(&file, None) {
            prop_assert!(imported.spec.graph(3, &[]).is_ok());
        }
    }
}
