//! MNIST and the sets that share its IDX files, such as Fashion-MNIST.
//!
//! An IDX file is a big-endian magic number (`0x0801`: bytes, one dimension; `0x0803`: bytes, three), the sizes as u32,
//! and the bytes. Both plain and gzip-compressed files are read; the content decides, not the name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::{DataError, ImageShape, InMemory};

const CLASSES: u8 = 10;

/// The 60,000 training digits from a folder with `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, or `.gz`.
pub fn train(folder: &Path) -> Result<InMemory, DataError> {
    open(&locate(folder, "train-images-idx3-ubyte"), &locate(folder, "train-labels-idx1-ubyte"))
}

/// The 10,000 test digits from a folder with `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, or `.gz`.
pub fn test(folder: &Path) -> Result<InMemory, DataError> {
    open(&locate(folder, "t10k-images-idx3-ubyte"), &locate(folder, "t10k-labels-idx1-ubyte"))
}

/// Images `[n, height, width, 1]` and labels `[n]`, each 0 to 9, from a pair of IDX files.
///
/// Fails, naming the file, when it cannot be read, has a wrong magic number, is too short or too long, when the two
/// differ in count or when a label is above 9.
pub fn open(images: &Path, labels: &Path) -> Result<InMemory, DataError> {
    let ([count, height, width], pixels) = read_idx(images, 0x0803)?;
    let ([label_count], label_bytes) = read_idx(labels, 0x0801)?;
    let format = |path: &Path, what, expected: String, got: String| {
        Err(DataError::Format { path: path.to_owned(), what, expected, got })
    };
    if label_count != count {
        return format(labels, "the count of labels", format!("{count}, as of the images"), label_count.to_string());
    }
    if count == 0 {
        return Err(DataError::Empty { what: images.display().to_string() });
    }
    if height == 0 || width == 0 {
        return format(images, "the size of an image", "at least 1x1".into(), format!("{height}x{width}"));
    }
    if let Some((index, label)) = label_bytes.iter().enumerate().find(|&(_, &label)| label >= CLASSES) {
        return format(labels, "every label", "0 to 9".into(), format!("{label} at {index}"));
    }
    let labels = label_bytes.into_iter().map(u32::from).collect();
    let classes = (0..CLASSES).map(|class| class.to_string()).collect();
    InMemory::new(ImageShape { height, width, channels: 1 }, pixels, labels, classes)
}

fn locate(folder: &Path, name: &str) -> PathBuf {
    let plain = folder.join(name);
    let packed = folder.join(format!("{name}.gz"));
    if !plain.exists() && packed.exists() { packed } else { plain }
}

/// The sizes and the bytes of an IDX file with `D` dimensions.
fn read_idx<const D: usize>(path: &Path, magic: u32) -> Result<([usize; D], Vec<u8>), DataError> {
    let format = |what, expected: String, got: String| DataError::Format { path: path.to_owned(), what, expected, got };
    let mut file = BufReader::new(File::open(path).map_err(DataError::io(path))?);
    let is_gzip = file.fill_buf().map_err(DataError::io(path))?.starts_with(&[0x1f, 0x8b]);
    let mut reader: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };

    let size = 4 + 4 * D;
    let header = read_up_to(&mut reader, size as u64).map_err(DataError::io(path))?;
    let mut words = header.as_chunks::<4>().0.iter().map(|&word| u32::from_be_bytes(word));
    if let Some(got) = words.next().filter(|&got| got != magic) {
        return Err(format("the magic number", format!("{magic:#010x}"), format!("{got:#010x}")));
    }
    if header.len() < size {
        return Err(format("the header", format!("{size} bytes"), format!("{} bytes", header.len())));
    }
    let sizes: [usize; D] = std::array::from_fn(|_| words.next().map_or(0, |size| size as usize));
    let expected = sizes
        .iter()
        .try_fold(1_u64, |product, &size| product.checked_mul(size as u64))
        .filter(|&product| product < isize::MAX as u64)
        .ok_or_else(|| format("the sizes", "few enough bytes for memory".into(), format!("{sizes:?}")))?;
    // One byte more shows whether the file goes on.
    let bytes = read_up_to(&mut reader, expected + 1).map_err(DataError::io(path))?;
    if bytes.len() as u64 != expected {
        let got = if bytes.len() as u64 > expected { "more".into() } else { format!("{} bytes", bytes.len()) };
        return Err(format("the data after the header", format!("{expected} bytes"), got));
    }
    Ok((sizes, bytes))
}

/// The next `limit` bytes, or as many as there are.
fn read_up_to(reader: &mut impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
