//! Safetensors files, ours and others'.

use binary_nets_formats::checkpoint::{Checkpoint, encode as encode_checkpoint};
use binary_nets_formats::safetensors::{decode as decode_safetensors, encode};
use binary_nets_formats::weights::decode;
use binary_nets_formats::{FormatError, Tensor};
use safetensors::SafeTensors;

use crate::assert_reads;

fn tensor(path: &str, shape: &[usize], data: &[f32]) -> Tensor {
    Tensor { path: path.to_owned(), shape: shape.to_vec(), data: data.to_vec() }
}

fn raw(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
}

#[test]
fn every_type_becomes_f32() {
    assert_reads("dtypes-of-their-own.safetensors", "dtypes.safetensors");
    assert_reads("small.safetensors", "small.safetensors");
}

#[test]
fn what_is_written_is_read_here_and_by_the_official_crate() {
    let tensors = [tensor("bn1.bias", &[2], &[0.5, -0.0]), tensor("conv1.weight", &[1, 2, 1, 1], &[1.5, f32::MAX])];
    let bytes = encode(&tensors).unwrap();
    assert_eq!(decode(&bytes).unwrap(), tensors);
    assert_eq!(encode(&[tensors[1].clone(), tensors[0].clone()]).unwrap(), bytes, "sorted by key");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), 2);
    assert_eq!(file.tensor("conv1.weight").unwrap().shape(), [1, 2, 1, 1]);
    assert_eq!(file.tensor("conv1.weight").unwrap().data()[..4], 1.5f32.to_le_bytes());
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
    assert!(matches!(encode(&[tensor("w", &[3], &[0.0])]), Err(FormatError::Shape { .. })));
    assert!(matches!(encode(&[tensor("w", &[], &[0.0]), tensor("w", &[], &[0.0])]), Err(FormatError::Key { .. })));
}

#[test]
fn checkpoints_are_weights_whose_checksum_is_checked() {
    let tensors = vec![tensor("fc.bias", &[2], &[0.5, 1.5]), tensor("fc.bias#v", &[2], &[0.0, 1.0])];
    let mut bytes = encode_checkpoint(&Checkpoint { tensors: tensors.clone(), ..Checkpoint::default() }).unwrap();
    assert_eq!(decode(&bytes).unwrap(), tensors);
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(decode(&bytes), Err(FormatError::Checksum { .. })));
    assert!(decode_safetensors(&bytes).is_ok(), "any other safetensors file has none");
}

#[test]
fn keys_that_occur_twice_are_refused() {
    let entry = r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    assert!(decode(&raw(&format!(r#"{{"a":{entry}}}"#), 4)).is_ok());
    for header in [
        format!(r#"{{"a":{entry},"a":{entry}}}"#),
        format!(r#"{{"b":{entry},"a":{entry},"\u0061":{entry}}}"#),
        format!(r#"{{"__metadata__":{{"a":"1","a":"2"}},"b":{entry}}}"#),
    ] {
        match decode(&raw(&header, 4)) {
            Err(FormatError::Header { reason, .. }) => assert!(reason.contains("the key 'a' occurs twice"), "{reason}"),
            other => panic!("{header}: {other:?}"),
        }
    }
    let metadata = format!(r#"{{"__metadata__":{{}},"__metadata__":{{}},"a":{entry}}}"#);
    assert!(matches!(decode(&raw(&metadata, 4)), Err(FormatError::Header { .. })));
}

#[test]
fn types_and_sizes_are_refused_by_key() {
    let read = |dtype: &str, shape: &str| {
        decode(&raw(&format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,8]}}}}"#), 8))
    };
    assert_eq!(read("F16", "[2,2]"), Ok(vec![tensor("w", &[2, 2], &[0.0; 4])]));
    assert!(
        matches!(read("F8_E4M3", "[8]"), Err(FormatError::Dtype { path, got, .. }) if path == "w" && got == "F8_E4M3")
    );
    for (dtype, shape) in [("F16", "[2]"), ("F64", "[2]"), ("U8", "[7]"), ("F32", "[4611686018427387904,8]")] {
        assert!(matches!(read(dtype, shape), Err(FormatError::Shape { path, .. }) if path == "w"));
    }
}
