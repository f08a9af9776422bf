//! Archives and pickles as no `torch.save` would write them.

/// A zip archive of stored entries without checksums.
pub fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    packed_archive(&entries.iter().map(|&(name, data)| (name, data, data.len(), 0)).collect::<Vec<_>>())
}

/// The same of entries that are packed already, each with the size of its contents and its method.
pub fn packed_archive(entries: &[(&str, &[u8], usize, u16)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for &(name, data, size, method) in entries {
        let at = bytes.len() as u32;
        let numbers = |name: &str| {
            let mut record = vec![20, 0, 0, 0];
            record.extend(method.to_le_bytes());
            // Time, date, checksum.
            record.extend([0; 8]);
            record.extend((data.len() as u32).to_le_bytes());
            record.extend((size as u32).to_le_bytes());
            record.extend((name.len() as u16).to_le_bytes());
            record.extend([0; 2]);
            record
        };
        bytes.extend(b"PK\x03\x04");
        bytes.extend(numbers(name));
        bytes.extend(name.as_bytes());
        bytes.extend(data);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(numbers(name));
        // Comment, disk, attributes.
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let at = bytes.len() as u32;
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend((entries.len() as u16).to_le_bytes());
    bytes.extend((entries.len() as u16).to_le_bytes());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(at.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

/// A file of a pickle and of one storage, `0`.
pub fn torch_file(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
    archive(&[("a/data.pkl", pickle), ("a/data/0", storage)])
}

/// A pickled dict of keys and pickled values.
pub fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries = entries.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect::<Vec<_>>();
    [&b"}("[..], &entries, b"u"].concat()
}

/// A pickle of a pickled value.
pub fn pickle(value: &[u8]) -> Vec<u8> {
    [&b"\x80\x02"[..], value, b"."].concat()
}

pub fn text(text: &str) -> Vec<u8> {
    [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

pub fn integer(n: i64) -> Vec<u8> {
    [&b"\x8a\x08"[..], &n.to_le_bytes()].concat()
}

pub fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [&b"("[..], &items.concat(), b"t"].concat()
}

pub fn integers(items: &[i64]) -> Vec<u8> {
    tuple(&items.iter().map(|&n| integer(n)).collect::<Vec<_>>())
}

/// A pickled tensor in storage `0` of a class such as `FloatStorage`.
pub fn tensor(class: &str, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let class = [b"ctorch\n", class.as_bytes(), b"\n"].concat();
    let id = tuple(&[text("storage"), class, text("0"), text("cpu"), integer(1)]);
    let storage = [&id[..], b"Q"].concat();
    let arguments = [storage, integer(offset), integers(shape), integers(strides), b"\x89".to_vec(), b"}".to_vec()];
    [&b"ctorch._utils\n_rebuild_tensor_v2\n"[..], &tuple(&arguments), b"R"].concat()
}

/// The file of a state dict of one tensor `w`.
pub fn one_tensor(class: &str, offset: i64, shape: &[i64], strides: &[i64], storage: &[u8]) -> Vec<u8> {
    torch_file(&pickle(&dict(&[("w", tensor(class, offset, shape, strides))])), storage)
}
