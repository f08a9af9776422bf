//! Archives and pickles as no `torch.save` would write them.

/// A zip archive of stored entries without checksums.
pub fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    packed_archive(&entries.iter().map(|&(name, data)| (name, data, data.len(), 0)).collect::<Vec<_>>())
}

/// The same of entries that are packed already, each with the size of its contents and its method.
pub fn packed_archive(entries: &[(&str, &[u8], usize, u16)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for &(name, data, size, method) in entries {
        let sizes = [data.len() as u32, size as u32];
        directory.push(central(name, method, sizes, bytes.len() as u32, &[]));
        bytes.extend(local(name, method, sizes));
        bytes.extend(data);
    }
    with_directory(bytes, &directory)
}

/// What local headers and the directory say in the same way; the sizes are those in the file and of the contents.
fn record(name: &str, method: u16, sizes: [u32; 2], extra: &[u8]) -> Vec<u8> {
    let mut record = vec![20, 0, 0, 0];
    record.extend(method.to_le_bytes());
    // Time, date, checksum.
    record.extend([0; 8]);
    record.extend(sizes.map(u32::to_le_bytes).as_flattened());
    record.extend((name.len() as u16).to_le_bytes());
    record.extend((extra.len() as u16).to_le_bytes());
    record
}

/// The header in front of an entry's data.
pub fn local(name: &str, method: u16, sizes: [u32; 2]) -> Vec<u8> {
    [&b"PK\x03\x04"[..], &record(name, method, sizes, &[]), name.as_bytes()].concat()
}

/// An entry of the directory, whose local header is at `at`.
pub fn central(name: &str, method: u16, sizes: [u32; 2], at: u32, extra: &[u8]) -> Vec<u8> {
    let record = record(name, method, sizes, extra);
    // Behind the record: comment, disk, attributes.
    [b"PK\x01\x02\x14\x00", &record[..], &[0; 10], &at.to_le_bytes(), name.as_bytes(), extra].concat()
}

/// An archive of entries and its directory.
pub fn with_directory(mut bytes: Vec<u8>, directory: &[Vec<u8>]) -> Vec<u8> {
    let (at, entries) = (bytes.len() as u32, (directory.len() as u16).to_le_bytes());
    let directory = directory.concat();
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([entries, entries].as_flattened());
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
    [REBUILD, &arguments("0", class, offset, shape, strides), b"R"].concat()
}

/// What makes a tensor of its arguments.
pub const REBUILD: &[u8] = b"ctorch._utils\n_rebuild_tensor_v2\n";

/// The pickled arguments of a tensor in a storage.
pub fn arguments(storage: &str, class: &str, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let class = [b"ctorch\n", class.as_bytes(), b"\n"].concat();
    let id = tuple(&[text("storage"), class, text(storage), text("cpu"), integer(1)]);
    let storage = [&id[..], b"Q"].concat();
    tuple(&[storage, integer(offset), integers(shape), integers(strides), b"\x89".to_vec(), b"}".to_vec()])
}

/// The file of a state dict of one tensor `w`.
pub fn one_tensor(class: &str, offset: i64, shape: &[i64], strides: &[i64], storage: &[u8]) -> Vec<u8> {
    torch_file(&pickle(&dict(&[("w", tensor(class, offset, shape, strides))])), storage)
}
