//! What the fuzzer starts from and what it ever found, read once more: valid files and broken ones.

#[path = "../../../fuzz/src/memory.rs"]
mod memory;
#[path = "../../../fuzz/src/readers.rs"]
mod readers;

use std::fs;
use std::path::Path;

use readers::READERS;

/// One test of all readers, for the bound of memory is of the whole process. A failure names the seed that it printed last.
#[test]
fn every_seed_is_read_or_refused_within_its_memory() {
    let seeds = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds"));
    for reader in READERS {
        let folder = seeds.join(reader.name);
        let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{} has no seeds", reader.name);
        for file in files {
            println!("{}", file.display());
            let bytes = fs::read(file).unwrap();
            memory::within(reader.bound(bytes.len()), || (reader.read)(&bytes));
        }
    }
    let folders = fs::read_dir(seeds).unwrap().count();
    assert_eq!(folders, READERS.len(), "each folder of seeds has its reader");
}
