//! Checkpoints: round trips, the official safetensors reader, and every kind of broken file.

use std::collections::HashMap;

use binary_nets_formats::checkpoint::{Checkpoint, decode, encode};
use binary_nets_formats::{FormatError, Tensor};
use proptest::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

fn tensor(path: &str, shape: &[usize], data: &[f32]) -> Tensor {
    Tensor { path: path.to_owned(), shape: shape.to_vec(), data: data.to_vec() }
}

/// Two tensors, a quote in the metadata that looks like a checksum, and a seed that no f64 holds.
fn small() -> Checkpoint {
    Checkpoint {
        spec: r#"{"version":1,"nodes":[],"outputs":{}}"#.to_owned(),
        metadata: r#"{"checksum":"00000000","epoch":3,"name":"größer\n"}"#.to_owned(),
        step: 938,
        seed: u64::MAX,
        tensors: vec![
            tensor("bn1.bias", &[2], &[f32::from_bits(0x7fc0_1234), -0.0]),
            tensor("conv1.weight", &[1, 2, 1, 2], &[1.5, -2.25, f32::MIN_POSITIVE, f32::INFINITY]),
        ],
    }
}

/// The bits, because NaN differs from itself.
fn bits(checkpoint: &Checkpoint) -> Vec<(String, Vec<usize>, Vec<u32>)> {
    let tensors = checkpoint.tensors.iter();
    tensors.map(|t| (t.path.clone(), t.shape.clone(), t.data.iter().map(|x| x.to_bits()).collect())).collect()
}

fn assert_same(a: &Checkpoint, b: &Checkpoint) {
    assert_eq!((&a.spec, &a.metadata, a.step, a.seed), (&b.spec, &b.metadata, b.step, b.seed));
    assert_eq!(bits(a), bits(b));
}

/// A file with a valid checksum whose header is `edit`ed before it is written by the official crate.
fn foreign(fields: &[(&str, &str)], dtype: Dtype) -> Vec<u8> {
    let metadata: HashMap<String, String> = fields.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    let tensors = [("w", TensorView::new(dtype, vec![1], &[0; 8][..dtype.bitsize() / 8]).unwrap())];
    let mut bytes = safetensors::serialize(tensors, Some(metadata)).unwrap();
    let field = b"\"checksum\":\"";
    if let Some(at) = bytes.windows(field.len()).position(|w| w == field) {
        let at = at + field.len();
        let rest = [&bytes[..at], &bytes[at + 8..]].concat();
        bytes[at..at + 8].copy_from_slice(format!("{:08x}", crc32(&rest)).as_bytes());
    }
    bytes
}

/// CRC-32 (IEEE 802.3, reflected), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

const FIELDS: [(&str, &str); 7] = [
    ("format", "binary-nets"),
    ("version", "1"),
    ("spec", "{}"),
    ("metadata", "{}"),
    ("step", "7"),
    ("seed", "1"),
    ("checksum", "00000000"),
];

#[test]
fn a_checkpoint_comes_back_bit_by_bit() {
    assert_same(&decode(&encode(&small()).unwrap()).unwrap(), &small());
    assert_same(&decode(&encode(&Checkpoint::default()).unwrap()).unwrap(), &Checkpoint::default());
}

#[test]
fn order_of_tensors_does_not_change_the_file() {
    let mut reversed = small();
    reversed.tensors.reverse();
    assert_eq!(encode(&reversed).unwrap(), encode(&small()).unwrap());
}

#[test]
fn the_official_crate_reads_the_same_keys_shapes_and_bytes() {
    let bytes = encode(&small()).unwrap();
    let (header, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header % 8, 0);
    let fields = metadata.metadata().clone().unwrap();
    assert_eq!((&fields["format"][..], &fields["version"][..]), ("binary-nets", "1"));
    assert_eq!((&fields["spec"], &fields["metadata"]), (&small().spec, &small().metadata));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), 2);
    for t in small().tensors {
        let view = file.tensor(&t.path).unwrap();
        assert_eq!((view.dtype(), view.shape()), (Dtype::F32, &t.shape[..]));
        assert_eq!(view.data(), t.data.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>());
    }
}

#[test]
fn what_the_official_crate_writes_is_read() {
    let decoded = decode(&foreign(&FIELDS, Dtype::F32)).unwrap();
    assert_eq!(decoded.tensors, [tensor("w", &[1], &[0.0])]);
    assert_eq!((decoded.step, decoded.seed), (7, 1));
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = encode(&small()).unwrap();
    for length in 0..bytes.len() {
        match decode(&bytes[..length]) {
            Err(FormatError::Truncated { expected, got }) => assert!(got == length && expected > got),
            other => panic!("cut to {length}: {other:?}"),
        }
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(decode(&longer), Err(FormatError::Trailing { offset: bytes.len(), extra: 1 }));
}

#[test]
fn every_corrupted_byte_is_an_error() {
    let bytes = encode(&small()).unwrap();
    for at in 0..bytes.len() {
        for flip in 1..=255 {
            let mut broken = bytes.clone();
            broken[at] ^= flip;
            assert!(decode(&broken).is_err(), "byte {at} ^ {flip}");
        }
    }
}

#[test]
fn a_corrupted_weight_is_told_by_the_checksum() {
    let mut bytes = encode(&small()).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(decode(&bytes), Err(FormatError::Checksum { expected, got }) if expected != got));
}

#[test]
fn missing_fields_are_named() {
    for (i, (field, _)) in FIELDS.iter().enumerate() {
        let mut fields = FIELDS.to_vec();
        fields.remove(i);
        assert_eq!(decode(&foreign(&fields, Dtype::F32)), Err(FormatError::MissingField { field }));
    }
}

#[test]
fn wrong_fields_are_named() {
    for (i, wrong) in [(0, "pt"), (1, "2"), (4, "-1"), (5, "18446744073709551616")] {
        let mut fields = FIELDS.to_vec();
        fields[i].1 = wrong;
        match decode(&foreign(&fields, Dtype::F32)) {
            Err(FormatError::Field { field, got, .. }) => assert_eq!((field, &got[..]), (FIELDS[i].0, wrong)),
            other => panic!("{wrong}: {other:?}"),
        }
    }
}

#[test]
fn other_dtypes_are_refused_by_key() {
    for dtype in [Dtype::F16, Dtype::F64, Dtype::I32, Dtype::U8] {
        let expected = FormatError::Dtype { path: "w".to_owned(), expected: "F32", got: dtype.to_string() };
        assert_eq!(decode(&foreign(&FIELDS, dtype)), Err(expected));
    }
}

/// A file of a header and data that no writer would write.
fn raw(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
}

#[test]
fn what_is_no_safetensors_file_is_told_so() {
    assert_eq!(decode(b""), Err(FormatError::Truncated { expected: 8, got: 0 }));
    assert!(matches!(decode(b"\x89PNG\r\n\x1a\n and more of it"), Err(FormatError::HeaderLength { .. })));
    assert!(matches!(decode(&[255; 64]), Err(FormatError::HeaderLength { length: u64::MAX, .. })));
    assert_eq!(decode(&99_999_999u64.to_le_bytes()), Err(FormatError::Truncated { expected: 100_000_007, got: 8 }));
    assert!(matches!(decode(&raw("{\n \"w\" 1}", 0)), Err(FormatError::Header { offset: 15, .. })));
    assert!(matches!(
        decode(&[&[2, 0, 0, 0, 0, 0, 0, 0, b'{'][..], &[0xff]].concat()),
        Err(FormatError::Header { offset: 9, .. })
    ));
    assert!(matches!(decode(&raw(&"[".repeat(100_000), 0)), Err(FormatError::Header { .. })));
    assert_eq!(decode(&raw("{}", 0)), Err(FormatError::MissingField { field: "format" }));
}

#[test]
fn tensors_that_lie_wrongly_are_named() {
    let two = |b: &str| format!(r#"{{"a":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}},"b":{b}}}"#);
    let gap = two(r#"{"dtype":"F32","shape":[1],"data_offsets":[8,12]}"#);
    let expected = FormatError::Offset { path: "b".to_owned(), expected: 4, got: 8 };
    assert_eq!(decode(&raw(&gap, 12)), Err(expected));
    let overlap = two(r#"{"dtype":"F32","shape":[1],"data_offsets":[2,6]}"#);
    assert!(matches!(decode(&raw(&overlap, 6)), Err(FormatError::Offset { path, .. }) if path == "b"));
    let backwards = two(r#"{"dtype":"F32","shape":[1],"data_offsets":[4,0]}"#);
    assert!(matches!(decode(&raw(&backwards, 4)), Err(FormatError::Offset { path, .. }) if path == "b"));
    let endless = two(r#"{"dtype":"F32","shape":[1],"data_offsets":[4,18446744073709551615]}"#);
    assert!(matches!(decode(&raw(&endless, 4)), Err(FormatError::Truncated { .. })));
}

#[test]
fn shapes_and_sizes_must_agree() {
    for (shape, data) in [(vec![2, 3], 5), (vec![], 2), (vec![usize::MAX, usize::MAX], 1), (vec![usize::MAX / 2, 8], 0)]
    {
        let path = "w".to_owned();
        let tensors = vec![Tensor { path: path.clone(), shape: shape.clone(), data: vec![0.0; data] }];
        let expected = FormatError::Shape { path, shape, bytes: 4 * data };
        assert_eq!(encode(&Checkpoint { tensors, ..Checkpoint::default() }), Err(expected));
    }
    let fields: Vec<String> = FIELDS.iter().map(|(k, v)| format!("{k:?}:{v:?}")).collect();
    let header = format!(
        r#"{{"__metadata__":{{{}}},"w":{{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}}}"#,
        fields.join(",")
    );
    let sum = format!("{:08x}", crc32(&raw(&header.replace("00000000", ""), 0)[8..]));
    let mut bytes = raw(&header.replace("00000000", &sum), 0);
    let at = bytes.windows(8).position(|w| w == sum.as_bytes()).unwrap();
    let sum = format!("{:08x}", crc32(&[&bytes[..at], &bytes[at + 8..]].concat()));
    bytes[at..at + 8].copy_from_slice(sum.as_bytes());
    assert!(matches!(decode(&bytes), Err(FormatError::Shape { path, bytes: 0, .. }) if path == "w"));
}

#[test]
fn keys_must_be_free() {
    for path in ["w", "__metadata__"] {
        let tensors = vec![tensor(path, &[], &[1.0]), tensor(path, &[], &[2.0])];
        let expected = FormatError::Key { path: path.to_owned() };
        assert_eq!(encode(&Checkpoint { tensors, ..Checkpoint::default() }), Err(expected));
    }
}

fn any_tensor() -> impl Strategy<Value = Tensor> {
    (".{0,12}", prop::collection::vec(0..4usize, 0..4)).prop_flat_map(|(path, shape)| {
        let elements = shape.iter().product::<usize>();
        prop::collection::vec(any::<u32>().prop_map(f32::from_bits), elements).prop_map(move |data| Tensor {
            path: path.clone(),
            shape: shape.clone(),
            data,
        })
    })
}

proptest! {
    #[test]
    fn any_checkpoint_comes_back(
        spec in ".*", metadata in ".*", step: u64, seed: u64, mut tensors in prop::collection::vec(any_tensor(), 0..6)
    ) {
        tensors.sort_by(|a, b| a.path.cmp(&b.path));
        tensors.dedup_by(|a, b| a.path == b.path);
        let checkpoint = Checkpoint { spec, metadata, step, seed, tensors };
        let bytes = encode(&checkpoint).unwrap();
        assert_same(&decode(&bytes).unwrap(), &checkpoint);
        prop_assert!(SafeTensors::deserialize(&bytes).is_ok());
    }

    #[test]
    fn any_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), header in any::<bool>()) {
        let bytes = if header { [&(bytes.len() as u64).to_le_bytes()[..], &bytes].concat() } else { bytes };
        prop_assert!(decode(&bytes).is_err());
    }
}
