//! State dicts as `torch.save` writes them since `PyTorch` 1.6: a zip archive of a pickle, `data.pkl`, and a file for each storage, `data/0`, ….
//!
//! The state dict is the whole file, or stands in it under the key `state_dict`, `model_state_dict` or `model`, as training scripts save it among other things.
//! Nothing that is pickled is ever executed: the machine that reads the pickle cannot.

mod pickle;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::budget::Budget;
use crate::dtype::{Dtype, KNOWN};
use crate::zip::Archive;
use crate::{FormatError, Tensor};

use pickle::{Pickle, Value, View};

/// The largest pickle that is read, in bytes: an opcode of a byte can make a value of some dozens. Those of state dicts have about a hundred for each tensor.
const PICKLE_LIMIT: usize = 1 << 24;

/// Where a state dict may stand, the first that is there.
const NESTED: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// How many keys an error lists.
const LISTED: usize = 8;

/// The tensors of a state dict, sorted by key, as f32.
///
/// Refuses what only Python could read (whole modules, for one) by the name that the pickle calls for, and tensors that reach beyond their storage.
pub fn decode(bytes: &[u8]) -> Result<Vec<Tensor>, FormatError> {
    let archive = Archive::open(bytes)?;
    let mut budget = Budget::new(bytes.len());
    let folder = folder(&archive)?;
    if let Some(order) = archive.read(&format!("{folder}byteorder"), &mut budget)?
        && *order != *b"little"
    {
        return Err(FormatError::ByteOrder {
            order: String::from_utf8_lossy(&order[..order.len().min(16)]).into_owned(),
        });
    }
    let name = format!("{folder}data.pkl");
    let pickle = archive.read(&name, &mut budget)?.unwrap_or_default();
    if pickle.len() > PICKLE_LIMIT {
        return Err(FormatError::TooLarge { what: name, bytes: pickle.len(), limit: PICKLE_LIMIT });
    }
    let pickle = Pickle::read(&pickle, &name, &mut budget)?;
    let mut storages = Storages { archive: &archive, folder, read: BTreeMap::new() };
    let mut tensors = BTreeMap::new();
    for &(key, value) in state_dict(&pickle)? {
        let Value::Text(key) = key else { return Err(no_state_dict("has keys that are no strings")) };
        let path = || key.to_owned();
        let Some(view) = pickle.tensor(value) else {
            return Err(FormatError::Tensor { path: path(), reason: "is no tensor".to_owned() });
        };
        if tensors.contains_key(key) {
            return Err(FormatError::Key { path: path() });
        }
        // The key stands in the map too.
        budget.spend(key, size_of::<Tensor>() + 2 * key.len() + size_of_val(&view.shape[..]))?;
        let data = storages.elements(key, &view, &mut budget)?;
        tensors.insert(path(), Tensor { path: path(), shape: view.shape, data });
    }
    Ok(tensors.into_values().collect())
}

/// Whether a file is of the format before the zip archives: a pickle of a magic number, or a tar archive.
pub(crate) fn is_legacy(bytes: &[u8]) -> bool {
    // LONG1 of ten bytes, 0x1950a86a20f9469cfc6c.
    let magic = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    let pickled = bytes.first() == Some(&0x80) && bytes.get(2..).is_some_and(|rest| rest.starts_with(magic));
    pickled || bytes.get(257..).is_some_and(|rest| rest.starts_with(b"ustar"))
}

/// What the names of all entries start with: `archive/`.
fn folder<'a>(archive: &'a Archive) -> Result<&'a str, FormatError> {
    let mut folders = archive.names().filter_map(|name| name.strip_suffix("data.pkl")).filter(|it| it.ends_with('/'));
    let fail = |reason: &str| FormatError::Entry { name: "data.pkl".to_owned(), reason: reason.to_owned() };
    match (folders.next(), folders.next()) {
        (Some(folder), None) => Ok(folder),
        (None, _) => Err(fail("it is missing: torch.save did not write this archive")),
        (Some(_), Some(_)) => Err(fail("there are several")),
    }
}

fn no_state_dict(reason: &str) -> FormatError {
    FormatError::Tensor { path: NESTED[0].to_owned(), reason: reason.to_owned() }
}

/// The entries of the state dict.
fn state_dict<'p, 'a>(pickle: &'p Pickle<'a>) -> Result<&'p [(Value<'a>, Value<'a>)], FormatError> {
    let root = pickle.root().ok_or_else(|| no_state_dict("is missing: the file holds no dict"))?;
    let is = |key: &Value, name: &str| matches!(key, Value::Text(text) if *text == name);
    // Only a dict is one, but that `state_dict` has to be.
    let nests = |name: &str, value: &Value| name == NESTED[0] || pickle.dict(*value).is_some();
    let name = NESTED.into_iter().find(|name| root.iter().any(|(key, value)| is(key, name) && nests(name, value)));
    let name = name.unwrap_or_default();
    let mut nested = root.iter().filter(|(key, _)| is(key, name));
    match (nested.next(), nested.next()) {
        (Some(_), Some(_)) => Err(FormatError::Key { path: name.to_owned() }),
        (Some(&(_, value)), None) => pickle.dict(value).ok_or_else(|| no_state_dict("is no dict")),
        (None, _) if root.iter().any(|&(_, value)| pickle.tensor(value).is_some()) => Ok(root),
        (None, _) => {
            let keys = root.iter().filter_map(|(key, _)| if let Value::Text(key) = key { Some(*key) } else { None });
            let keys = keys.take(LISTED).collect::<Vec<_>>().join(", ");
            Err(no_state_dict(&format!("is missing, and the file is none itself; its keys are: {keys}")))
        }
    }
}

/// The numbers behind the tensors; each is read once, however many tensors share it.
struct Storages<'f, 'a> {
    archive: &'f Archive<'a>,
    folder: &'f str,
    read: BTreeMap<String, Cow<'a, [u8]>>,
}

impl Storages<'_, '_> {
    /// The elements of a view, gathered.
    fn elements(&mut self, path: &str, view: &View, budget: &mut Budget) -> Result<Vec<f32>, FormatError> {
        let fail = |reason: String| FormatError::Tensor { path: path.to_owned(), reason };
        let class = view.storage.class;
        let dtype = view.dtype.or_else(|| Dtype::from_storage(class));
        let unknown = || FormatError::Dtype { path: path.to_owned(), expected: KNOWN, got: format!("a {class}") };
        let dtype = dtype.ok_or_else(unknown)?;
        let name = format!("{}data/{}", self.folder, view.storage.key);
        if !self.read.contains_key(&name) {
            let storage = self.archive.read(&name, budget)?;
            let storage = storage.ok_or_else(|| fail(format!("needs the entry '{name}', which is missing")))?;
            self.read.insert(name.clone(), storage);
        }
        let storage = &self.read[&name];
        let stored = storage.len() / dtype.size();
        if view.shape.contains(&0) {
            return Ok(Vec::new());
        }
        // The last element that is read, and how many are.
        let extents = view.shape.iter().zip(&view.strides);
        let last = extents
            .clone()
            .try_fold(view.offset, |last, (&extent, &stride)| last.checked_add((extent - 1).checked_mul(stride)?));
        if last.is_none_or(|last| last >= stored) {
            let (shape, strides, offset) = (&view.shape, &view.strides, view.offset);
            return Err(fail(format!(
                "of shape {shape:?}, strides {strides:?} and offset {offset} reaches beyond the {stored} elements of its storage"
            )));
        }
        let count = view.shape.iter().try_fold(1usize, |count, &extent| count.checked_mul(extent));
        let bytes = count.and_then(|count| count.checked_mul(size_of::<f32>())).unwrap_or(usize::MAX);
        budget.spend(path, bytes)?;

        let mut data = Vec::with_capacity(bytes / size_of::<f32>());
        let mut index = vec![0; view.shape.len()];
        let mut at = view.offset;
        loop {
            data.push(dtype.element(storage, at));
            // Counts up: the last axis first, which starts again when it is through.
            let mut axis = index.len();
            loop {
                let Some(next) = axis.checked_sub(1) else { return Ok(data) };
                axis = next;
                index[axis] += 1;
                // A single element's stride may be anything: what overflows here is taken back below.
                at = at.wrapping_add(view.strides[axis]);
                if index[axis] < view.shape[axis] {
                    break;
                }
                at = at.wrapping_sub(view.strides[axis].wrapping_mul(index[axis]));
                index[axis] = 0;
            }
        }
    }
}
