//! Files of `torch.save`.

use std::io::Write;

use binary_nets_formats::weights::decode;
use binary_nets_formats::{FormatError, Tensor};
use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::archive::{
    REBUILD, archive, arguments, central, dict, integer, local, one_tensor, packed_archive, pickle, tensor, text,
    torch_file, tuple, with_directory,
};
use crate::{assert_reads, file};

fn w(shape: &[usize], data: &[f32]) -> Vec<Tensor> {
    vec![Tensor { path: "w".to_owned(), shape: shape.to_vec(), data: data.to_vec() }]
}

fn floats(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|x| x.to_le_bytes()).collect()
}

#[test]
fn a_state_dict_is_read_whatever_its_protocol_and_archive() {
    for name in ["small.pth", "protocol-4.pth", "deflated.pth", "no-checksums.pth"] {
        assert_reads(name, "small.safetensors");
    }
}

#[test]
fn a_state_dict_is_found_among_what_training_saves_with_it() {
    assert_reads("trained.pth.tar", "trained.safetensors");
}

#[test]
fn every_type_becomes_f32() {
    assert_reads("dtypes.pth", "dtypes.safetensors");
}

#[test]
fn strides_offsets_and_shared_storages_are_honoured() {
    assert_reads("views.pth", "views.safetensors");
}

#[test]
fn what_a_pickle_would_execute_is_refused_by_name_and_place() {
    let bytes = file("malicious.pth");
    let place = |needle: &[u8]| bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    // The pickle starts with its protocol, 2, and an empty dict.
    let offset = place(b"cposix\nsystem\n") - place(b"\x80\x02}");
    let error = decode(&bytes).unwrap_err();
    assert_eq!(error, FormatError::Global { name: "posix.system".to_owned(), offset });
    assert!(error.to_string().contains("'posix.system'"), "{error}");

    match decode(&file("module.pth")) {
        Err(FormatError::Global { name, .. }) => assert_eq!(name, "torch.nn.modules.linear.Linear"),
        other => panic!("{other:?}"),
    }
    // The other ways to name a function: two strings on the stack, and an instance.
    let stacked = [text("builtins"), text("eval"), b"\x93".to_vec()].concat();
    for (value, expected) in [
        (stacked, "builtins.eval"),
        (b"(ios\nsystem\n".to_vec(), "os.system"),
        (b"ctorch\nload\n".to_vec(), "torch.load"),
    ] {
        match decode(&torch_file(&pickle(&value), &[])) {
            Err(FormatError::Global { name, .. }) => assert_eq!(name, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[test]
fn opcodes_that_call_or_build_are_refused_where_nothing_needs_them() {
    let refused = |value: &[u8], what: &str| match decode(&torch_file(&pickle(value), &[])) {
        Err(FormatError::Pickle { reason, .. }) => assert!(reason.contains(what), "{reason}"),
        other => panic!("{what}: {other:?}"),
    };
    refused(b"ccollections\nOrderedDict\n)\x81", "0x81");
    refused(b"ccollections\nOrderedDict\n\x82\x01", "0x82");
    refused(b"(icollections\nOrderedDict\n", "an instance of collections.OrderedDict");
    refused(b")}b", "no dict");
    refused(b")(X\x01\0\0\0aNu", "no dict");
    refused(b"X\x01\0\0\0a)R", "no function");
    refused(b"ccollections\nOrderedDict\n(NtR", "OrderedDict");
    refused(b"ctorch._utils\n_rebuild_tensor_v2\n(NNNNNNtR", "gives Tensor");
    refused(b"(NNtQ", "no storage");
    refused(b"h\x07", "7");
    refused(b"e", "no mark");
    // Nothing below a mark is taken.
    refused(b"}(0", "nothing is on its stack");
}

#[test]
fn formats_that_are_not_read_are_told_apart() {
    assert_eq!(decode(&file("legacy.pth")), Err(FormatError::Legacy));
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    assert_eq!(decode(&tar), Err(FormatError::Legacy));
    assert_eq!(decode(&file("big-endian.pth")), Err(FormatError::ByteOrder { order: "big".to_owned() }));
    for bytes in [&b""[..], b"PK", b"\x89PNG\r\n\x1a\n and more of it", b"\x80\x02}q\0."] {
        assert_eq!(decode(bytes), Err(FormatError::Unknown));
    }
    let no_pickle = decode(&archive(&[("a/model.json", b"{}")])).unwrap_err();
    assert!(matches!(&no_pickle, FormatError::Entry { name, .. } if name == "data.pkl"), "{no_pickle}");
    let two = decode(&archive(&[("a/data.pkl", b""), ("b/data.pkl", b"")])).unwrap_err();
    assert!(two.to_string().contains("several"), "{two}");
}

#[test]
fn types_without_real_numbers_are_refused_by_key() {
    let expected = |path: &str, class: &str| {
        Err(FormatError::Dtype { path: path.to_owned(), expected: "of floats or integers", got: format!("a {class}") })
    };
    assert_eq!(decode(&file("complex.pth")), expected("spectrum", "ComplexFloatStorage"));
    assert_eq!(decode(&one_tensor("QInt8Storage", 0, &[1], &[1], &[0])), expected("w", "QInt8Storage"));
}

#[test]
fn tensors_stay_within_their_storage() {
    let storage = floats(&[1.0, 2.0, 3.0, 4.0]);
    let read =
        |offset, shape: &[i64], strides: &[i64]| decode(&one_tensor("FloatStorage", offset, shape, strides, &storage));
    assert_eq!(read(1, &[3], &[1]), Ok(w(&[3], &[2.0, 3.0, 4.0])));
    assert_eq!(read(0, &[2, 2], &[1, 2]), Ok(w(&[2, 2], &[1.0, 3.0, 2.0, 4.0])));
    assert_eq!(read(3, &[1, 1], &[i64::MAX, i64::MAX]), Ok(w(&[1, 1], &[4.0])), "no step is made");
    assert_eq!(read(9, &[0, 5], &[5, 1]), Ok(w(&[0, 5], &[])), "nothing is read");
    for (offset, shape, strides) in [
        (2, &[3][..], &[1][..]),
        (4, &[], &[]),
        (0, &[2, 2], &[3, 1]),
        (0, &[2], &[i64::MAX]),
        (i64::MAX, &[3], &[i64::MAX]),
        (0, &[i64::MAX, i64::MAX], &[i64::MAX, i64::MAX]),
    ] {
        match read(offset, shape, strides) {
            Err(FormatError::Tensor { path, reason }) => assert!(path == "w" && reason.contains("beyond"), "{reason}"),
            other => panic!("{shape:?} {strides:?} {offset}: {other:?}"),
        }
    }
    for (offset, shape, strides) in [(-1, &[1][..], &[1][..]), (0, &[-1], &[1]), (0, &[1], &[-1]), (0, &[1], &[])] {
        let error = read(offset, shape, strides).unwrap_err();
        assert!(matches!(error, FormatError::Pickle { .. }), "{error}");
    }
    // Five bytes hold one float.
    assert!(decode(&one_tensor("FloatStorage", 0, &[2], &[1], &storage[..5])).is_err());
    let missing = decode(&archive(&[("a/data.pkl", &pickle(&dict(&[("w", tensor("FloatStorage", 0, &[1], &[1]))])))]));
    assert!(missing.unwrap_err().to_string().starts_with("'w' needs the entry 'a/data/0'"));
}

#[test]
fn a_tensor_that_is_stored_negated_is_refused() {
    let plain = tensor("FloatStorage", 0, &[1], &[1]);
    let with = |metadata: &[u8]| {
        let arguments = plain.strip_suffix(b"tR").unwrap();
        let value = [arguments, metadata, b"tR"].concat();
        decode(&torch_file(&pickle(&dict(&[("w", value)])), &floats(&[1.5])))
    };
    assert_eq!(with(b"}"), Ok(w(&[1], &[1.5])));
    let negated = [&b"}"[..], &text("neg"), b"\x88s"].concat();
    assert!(matches!(with(&negated), Err(FormatError::Pickle { .. })));
}

#[test]
fn keys_are_unique_strings_of_tensors() {
    let one = tensor("FloatStorage", 0, &[1], &[1]);
    let read = |value: &[u8]| decode(&torch_file(&pickle(value), &floats(&[1.5])));
    let key = |path: &str| Err(FormatError::Key { path: path.to_owned() });
    assert_eq!(read(&dict(&[("w", one.clone())])), Ok(w(&[1], &[1.5])));
    assert_eq!(read(&dict(&[("w", one.clone()), ("w", one.clone())])), key("w"));
    let nested = dict(&[("w", one.clone())]);
    assert_eq!(read(&dict(&[("epoch", integer(1)), ("state_dict", nested.clone())])), Ok(w(&[1], &[1.5])));
    for name in ["model", "model_state_dict"] {
        assert_eq!(read(&dict(&[(name, nested.clone()), ("epoch", integer(1))])), Ok(w(&[1], &[1.5])));
    }
    assert_eq!(read(&dict(&[("state_dict", nested.clone()), ("state_dict", nested.clone())])), key("state_dict"));
    let zip = [("a/data.pkl", &b"}."[..]), ("a/data.pkl", b"}.")];
    assert_eq!(decode(&archive(&zip)), key("a/data.pkl"));

    for (value, culprit) in [
        (dict(&[("w", one.clone()), ("v", integer(1))]), "'v' is no tensor"),
        (dict(&[("state_dict", integer(1))]), "'state_dict' is no dict"),
        (dict(&[("net", nested), ("epoch", integer(1))]), "its keys are: net, epoch"),
        (dict(&[("model", integer(1)), ("w", one.clone())]), "'model' is no tensor"),
        ([&b"}"[..], &integer(1), &one, b"s"].concat(), "no strings"),
        (tuple(&[one]), "no dict"),
        (b"}".to_vec(), "its keys are: "),
    ] {
        let error = read(&value).unwrap_err().to_string();
        assert!(error.contains(culprit), "{error}");
    }
}

#[test]
fn no_file_takes_more_than_a_small_multiple_of_its_size() {
    // A tensor that repeats one number, within what a small file may take and beyond.
    let repeated = |side: i64| decode(&one_tensor("FloatStorage", 0, &[side, side], &[0, 0], &floats(&[1.5])));
    assert_eq!(repeated(100), Ok(w(&[100, 100], &vec![1.5; 10_000])));
    for side in [1000, 1 << 20, 1 << 40] {
        let error = repeated(side).unwrap_err();
        assert!(matches!(&error, FormatError::TooLarge { what, .. } if what == "w"), "{error}");
    }
    // Many tensors that share one storage.
    let entries: Vec<_> = (0..2000).map(|i| (format!("w{i}"), tensor("FloatStorage", 0, &[1000], &[1]))).collect();
    let entries: Vec<_> = entries.iter().map(|(key, value)| (&key[..], value.clone())).collect();
    let shared = |n: usize| decode(&torch_file(&pickle(&dict(&entries[..n])), &floats(&[0.5; 1000])));
    assert_eq!(shared(50).unwrap().len(), 50);
    assert!(matches!(shared(2000), Err(FormatError::TooLarge { .. })));
    // Zeros that were deflated, with their size and with a smaller one.
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::best());
    deflated.write_all(&vec![0; 1 << 24]).unwrap();
    let deflated = deflated.finish().unwrap();
    let bomb = |size: usize| {
        let pickle = pickle(&dict(&[("w", tensor("FloatStorage", 0, &[1], &[1]))]));
        decode(&packed_archive(&[("a/data.pkl", &pickle, pickle.len(), 0), ("a/data/0", &deflated, size, 8)]))
    };
    assert!(matches!(bomb(1 << 24), Err(FormatError::TooLarge { what, .. }) if what == "a/data/0"));
    assert!(matches!(bomb(1 << 10), Err(FormatError::Entry { name, .. }) if name == "a/data/0"));
}

#[test]
fn no_pickle_takes_more_than_a_small_multiple_of_its_file() {
    // Kept in the memo: what makes a tensor of 64 axes, its arguments, and the tensor.
    let wide = arguments("0", "FloatStorage", 0, &[1; 64], &[1; 64]);
    let kept = [REBUILD, b"q\0", &wide, b"q\x01R", b"q\x020"].concat();
    let one = dict(&[("w", tensor("FloatStorage", 0, &[1], &[1]))]);
    for opcodes in [&b"h\0h\x01R"[..], b")", b"}", b"N\x94", b"(h\0h\0h\0h\0t", b"}h\0h\0s"] {
        let read = |times: usize| {
            let value = [&kept[..], b"(", &opcodes.repeat(times), b"1", &one].concat();
            decode(&torch_file(&pickle(&value), &floats(&[1.5])))
        };
        assert_eq!(read(1000), Ok(w(&[1], &[1.5])), "{opcodes:?}");
        match read(200_000) {
            Err(FormatError::TooLarge { what, .. }) => assert_eq!(what, "a/data.pkl", "{opcodes:?}"),
            other => panic!("{opcodes:?}: {:?}", other.map(|tensors| tensors.len())),
        }
    }
    // The same tensor by many keys.
    let named = |n: usize| {
        let entries: Vec<_> = (0..n).map(|i| (i.to_string(), b"h\x02".to_vec())).collect();
        let entries: Vec<_> = entries.iter().map(|(key, value)| (&key[..], value.clone())).collect();
        decode(&torch_file(&pickle(&[kept.clone(), dict(&entries)].concat()), &floats(&[1.5])))
    };
    let few = named(1000).unwrap();
    assert!(few.len() == 1000 && few.iter().all(|tensor| tensor.shape == [1; 64] && tensor.data == [1.5]));
    assert!(matches!(named(10_000), Err(FormatError::TooLarge { .. })));
}

#[test]
fn entries_that_overlap_are_not_read_without_end() {
    // Each entry holds the headers of those behind it, and the numbers that are the end of all.
    let read = |count: usize| {
        let key = |i: usize| format!("a/data/{i}");
        let tensor = |i: usize| [REBUILD, &arguments(&i.to_string(), "FloatStorage", 0, &[1], &[1]), b"R"].concat();
        let entries: Vec<_> = (0..count).map(|i| (format!("w{i}"), tensor(i))).collect();
        let entries: Vec<_> = entries.iter().map(|(key, value)| (&key[..], value.clone())).collect();
        let pickle = pickle(&dict(&entries));
        let size = [pickle.len() as u32; 2];
        let mut bytes = [local("a/data.pkl", 0, size), pickle].concat();
        let mut directory = vec![central("a/data.pkl", 0, size, 0, &[])];
        let end = bytes.len() + (0..count).map(|i| local(&key(i), 0, [0; 2]).len()).sum::<usize>() + 100_000;
        for i in 0..count {
            let at = bytes.len();
            let size = [(end - at - local(&key(i), 0, [0; 2]).len()) as u32; 2];
            bytes.extend(local(&key(i), 0, size));
            directory.push(central(&key(i), 0, size, at as u32, &[]));
        }
        bytes.resize(end, 0);
        decode(&with_directory(bytes, &directory))
    };
    assert_eq!(read(10).unwrap().len(), 10);
    assert!(matches!(read(100), Err(FormatError::TooLarge { what, .. }) if what.starts_with("a/data/")));
}

#[test]
fn sizes_of_64_bits_stand_in_an_extra_field() {
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::best());
    deflated.write_all(&floats(&[1.5; 100])).unwrap();
    let deflated = deflated.finish().unwrap();
    let pickle = pickle(&dict(&[("w", tensor("FloatStorage", 0, &[100], &[1]))]));
    let elsewhere = u32::MAX;
    // A field of another kind, then that of the sizes.
    let extra = |numbers: &[usize]| {
        let numbers = numbers.iter().flat_map(|&n| (n as u64).to_le_bytes()).collect::<Vec<u8>>();
        [b"\x99\x00\x03\x00abc\x01\x00", &(numbers.len() as u16).to_le_bytes()[..], &numbers].concat()
    };
    let read = |sizes: [u32; 2], at: Option<u32>, extra: &dyn Fn(usize) -> Vec<u8>| {
        let own = [pickle.len() as u32; 2];
        let mut bytes = [local("a/data.pkl", 0, own), pickle.clone()].concat();
        let place = bytes.len();
        let entry = central("a/data/0", 8, sizes, at.unwrap_or(place as u32), &extra(place));
        bytes.extend([local("a/data/0", 8, sizes), deflated.clone()].concat());
        decode(&with_directory(bytes, &[central("a/data.pkl", 0, own, 0, &[]), entry]))
    };
    let (packed, expected) = (deflated.len(), Ok(w(&[100], &[1.5; 100])));
    // In their order — contents, in the file, place — only those that stand here.
    assert_eq!(read([elsewhere; 2], Some(elsewhere), &|at| extra(&[400, packed, at])), expected);
    assert_eq!(read([elsewhere; 2], None, &|_| extra(&[400, packed])), expected);
    assert_eq!(read([packed as u32, elsewhere], Some(elsewhere), &|at| extra(&[400, at])), expected);
    assert_eq!(read([packed as u32, 400], Some(elsewhere), &|at| extra(&[at])), expected);
    for (extra, what) in [
        (extra(&[400, packed]), "the sizes of an entry are cut off"),
        (extra(&[400, packed, usize::MAX]), "beyond the end of the file"),
        (extra(&[400, packed, 0])[..30].to_vec(), "an extra field is cut off"),
    ] {
        match read([elsewhere; 2], Some(elsewhere), &|_| extra.clone()) {
            Err(FormatError::Zip { reason, .. }) => assert!(reason.contains(what), "{reason}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    let moved = read([elsewhere; 2], Some(elsewhere), &|_| extra(&[400, packed, 0])).unwrap_err();
    assert!(matches!(&moved, FormatError::Entry { name, .. } if name == "a/data/0"), "{moved}");
}

#[test]
fn entries_that_cannot_be_read_are_named() {
    let pickle = pickle(&dict(&[("w", tensor("FloatStorage", 0, &[1], &[1]))]));
    let method = packed_archive(&[("a/data.pkl", &pickle, pickle.len(), 0), ("a/data/0", &[0; 4], 4, 93)]);
    assert!(decode(&method).unwrap_err().to_string().contains("method 93"));
    let broken = packed_archive(&[("a/data.pkl", &pickle, pickle.len(), 0), ("a/data/0", &[7; 4], 4, 8)]);
    assert!(matches!(decode(&broken), Err(FormatError::Entry { name, .. }) if name == "a/data/0"));

    // A number of `bn` in a file with checksums.
    let mut bytes = file("small.pth");
    let place = |needle: &[u8]| bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    let one = place(b"\x01\0\0\0\0\0\0\0PK\x07\x08");
    bytes[one] = 2;
    let error = decode(&bytes).unwrap_err();
    assert!(matches!(&error, FormatError::Entry { name, .. } if name.starts_with("small/data/")), "{error}");
    assert!(error.to_string().contains("checksum"), "{error}");
}
