//! Weights of other people's files: what `PyTorch` wrote is read as it is, and what is broken or dangerous is refused by name.

mod archive;
mod damage;
mod pytorch;
mod safetensors_files;

use std::path::Path;

use binary_nets_formats::Tensor;
use binary_nets_formats::weights::decode;
use safetensors::SafeTensors;

/// A file that `parity/make_checkpoints.py` made.
fn file(name: &str) -> Vec<u8> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../parity/checkpoints"));
    std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Keys, shapes and the bits of elements, sorted by key: NaN differs from itself.
type Bits = Vec<(String, Vec<usize>, Vec<u32>)>;

fn bits(tensors: &[Tensor]) -> Bits {
    let bits = |t: &Tensor| (t.path.clone(), t.shape.clone(), t.data.iter().map(|x| x.to_bits()).collect());
    tensors.iter().map(bits).collect()
}

/// The f32 tensors of a safetensors file, as the official crate reads them.
fn expected(name: &str) -> Bits {
    let bytes = file(name);
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut expected: Bits = tensors
        .iter()
        .map(|(path, view)| {
            assert_eq!(view.dtype(), safetensors::Dtype::F32);
            let data = view.data().as_chunks().0.iter().map(|&x| u32::from_le_bytes(x)).collect();
            (path.to_owned(), view.shape().to_vec(), data)
        })
        .collect();
    expected.sort();
    expected
}

#[track_caller]
fn assert_reads(name: &str, as_in: &str) {
    let got = bits(&decode(&file(name)).unwrap_or_else(|error| panic!("{name}: {error}")));
    let expected = expected(as_in);
    assert!(!expected.is_empty());
    assert_eq!(got, expected, "{name}");
}
