//! Whatever happens to a file, the answer is tensors or an error.

use binary_nets_formats::weights::decode;
use proptest::prelude::*;

use crate::archive::torch_file;
use crate::file;

/// All small files, those without checksums too: there a change reaches the pickle.
const FILES: [&str; 9] = [
    "small.pth",
    "no-checksums.pth",
    "protocol-4.pth",
    "deflated.pth",
    "views.pth",
    "dtypes.pth",
    "malicious.pth",
    "legacy.pth",
    "dtypes-of-their-own.safetensors",
];

#[test]
fn every_truncation_is_an_error() {
    for name in FILES {
        let bytes = file(name);
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{name} cut to {length}");
        }
    }
}

#[test]
fn no_changed_byte_is_a_panic() {
    for name in FILES {
        let bytes = file(name);
        let mut refused = 0;
        for at in 0..bytes.len() {
            for flip in [0x01, 0x20, 0x80, 0xff] {
                let mut broken = bytes.clone();
                broken[at] ^= flip;
                refused += usize::from(decode(&broken).is_err());
            }
        }
        assert!(refused > bytes.len(), "{name}: {refused} of the changes were refused");
    }
}

/// Pieces of pickles, whole opcodes and names, and any bytes.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let opcodes: Vec<&[u8]> = vec![
        b"(",
        b")",
        b"}",
        b"]",
        b"t",
        b"u",
        b"s",
        b"e",
        b"a",
        b"R",
        b"b",
        b"Q",
        b"0",
        b"1",
        b"N",
        b"h\0",
        b"h\x01",
        b"q\0",
        b"q\x01",
        b"\x94",
        b"\x85",
        b"\x86",
        b"\x87",
        b"\x93",
        b"K\x01",
        b"K\0",
        b"M\xff\xff",
        b"J\xff\xff\xff\xff",
        b"\x8a\x02\0\x80",
        b"ccollections\nOrderedDict\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch._utils\n_rebuild_tensor_v3\n",
        b"ctorch\nFloatStorage\n",
        b"ctorch\nfloat16\n",
        b"X\x07\0\0\0storage",
        b"X\x01\0\0\x000",
        b"X\x01\0\0\0w",
        b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000K\0K\x02tQ",
    ];
    prop_oneof![
        9 => prop::sample::select(opcodes).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 1..3),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_pickle_is_a_panic(pieces in prop::collection::vec(piece(), 0..40)) {
        let pickle = [&b"\x80\x02"[..], &pieces.concat(), b"."].concat();
        // Nothing is asked but that it ends.
        let _ = decode(&torch_file(&pickle, &[0; 8]));
    }
}
