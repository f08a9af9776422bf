//! The fuzzer of the reader that the environment variable `READER` names; `fuzz/run` runs it.

#![no_main]

mod json;
mod memory;
mod protobuf;
mod random;
mod readers;

use std::sync::OnceLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

use crate::readers::{READERS, Reader};

fn reader() -> &'static Reader {
    static READER: OnceLock<&Reader> = OnceLock::new();
    READER.get_or_init(|| {
        let name = std::env::var("READER").expect("READER should name what is to be fuzzed");
        READERS.iter().find(|reader| reader.name == name).expect("a reader of that name")
    })
}

fuzz_target!(|bytes: &[u8]| memory::within(reader().bound(bytes.len()), || (reader().read)(bytes)));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // A byte of JSON changed is hardly ever JSON again, nor is a message with a byte more one.
    let mutate = match reader().name {
        "spec" => json::mutate,
        "packed" => json::mutate_packed,
        "onnx" => protobuf::mutate,
        _ => return fuzzer_mutate(data, size, max_size),
    };
    match (!seed.is_multiple_of(4)).then(|| mutate(&data[..size], max_size, seed)).flatten() {
        Some(changed) => {
            data[..changed.len()].copy_from_slice(&changed);
            changed.len()
        }
        None => fuzzer_mutate(data, size, max_size),
    }
});
