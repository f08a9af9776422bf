//! A machine for the pickles of state dicts. It executes nothing: a pickle can only put together values of the kinds below.
//!
//! A pickle is a program for a stack machine. Most programs build containers of numbers and strings; what makes pickles dangerous is that
//! `GLOBAL` names any function of Python and `REDUCE` calls it. Here `GLOBAL` knows the names in [`Global`] and refuses all others, and
//! `REDUCE` knows what each of these makes of its arguments. What tensors do not need — floats, the contents of lists — is not even kept.
//!
//! The opcodes are those that protocols 2 to 5 write for such values (Python's `pickletools` describes them all).

use std::collections::BTreeMap;

use crate::FormatError;
use crate::budget::Budget;
use crate::dtype::Dtype;

/// The axes that a tensor of `PyTorch` can have.
const MOST_AXES: usize = 64;

/// What the memo takes for a value: the nodes of its tree are half full or more.
const MEMO_BYTES: usize = 2 * size_of::<(usize, Value)>();

/// A value on the stack.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// None, a boolean, a float, bytes, an integer beyond 64 bits: nothing that a tensor is made of.
    Opaque,
    /// A list, whatever is in it.
    List,
    Int(i64),
    Text(&'a str),
    Global(Global<'a>),
    /// An object of the pickle, by number: containers are shared, so they have an identity.
    Object(usize),
}

/// A class, function or constant that a pickle may name.
#[derive(Clone, Copy, Debug)]
pub enum Global<'a> {
    /// `collections.OrderedDict`: what a state dict is.
    OrderedDict,
    /// `collections.Counter`: where schedules of learning rates keep their milestones.
    Counter,
    /// `torch.Size`: a tuple.
    Size,
    /// `torch.device`.
    Device,
    /// `torch._utils._rebuild_tensor_v2`.
    Tensor,
    /// `torch._utils._rebuild_tensor_v3`: the same, with the element type as its last argument.
    TensorOfType,
    /// `torch._utils._rebuild_parameter`.
    Parameter,
    /// `torch.FloatStorage`, `torch.storage.UntypedStorage`, …
    Storage(&'a str),
    /// `torch.float32`, …
    Dtype(Dtype),
}

/// What has an identity.
#[derive(Debug)]
pub enum Object<'a> {
    Tuple(Box<[Value<'a>]>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Storage(Storage<'a>),
    Tensor(Tensor<'a>),
}

/// Numbers that lie in an entry of the archive.
#[derive(Clone, Copy, Debug)]
pub struct Storage<'a> {
    /// Its class: `FloatStorage`.
    pub class: &'a str,
    /// The name of its entry below `data/`.
    pub key: &'a str,
}

/// A tensor, whose shape and strides are tuples of the pickle: many tensors may share them, so nothing is copied until a tensor is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    storage: Storage<'a>,
    dtype: Option<Dtype>,
    offset: usize,
    shape: Value<'a>,
    strides: Value<'a>,
}

/// What a tensor is: a view of a storage.
#[derive(Clone, Debug)]
pub struct View<'a> {
    pub storage: Storage<'a>,
    /// Where its class does not tell it.
    pub dtype: Option<Dtype>,
    /// The first element, counted in elements as are the strides.
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// What a pickle holds.
#[derive(Debug)]
pub struct Pickle<'a> {
    objects: Vec<Object<'a>>,
    root: Value<'a>,
}

impl<'a> Pickle<'a> {
    /// Runs a pickle, whose entry is called so; what it builds takes its memory from the budget.
    pub fn read(bytes: &'a [u8], name: &str, budget: &mut Budget) -> Result<Self, FormatError> {
        let mut machine = Machine {
            bytes,
            name,
            budget,
            at: 0,
            opcode_at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: BTreeMap::new(),
            objects: Vec::new(),
        };
        loop {
            if let Some(root) = machine.step()? {
                return Ok(Self { objects: machine.objects, root });
            }
        }
    }

    /// The entries of the dict that the pickle is.
    pub fn root(&self) -> Option<&[(Value<'a>, Value<'a>)]> {
        self.dict(self.root)
    }

    /// The entries of a value that is a dict.
    pub fn dict(&self, value: Value) -> Option<&[(Value<'a>, Value<'a>)]> {
        match value {
            Value::Object(i) => match &self.objects[i] {
                Object::Dict(entries) => Some(entries),
                Object::Tuple(_) | Object::Storage(_) | Object::Tensor(_) => None,
            },
            _ => None,
        }
    }

    /// The view that a value is, if it is a tensor.
    pub fn tensor(&self, value: Value) -> Option<View<'a>> {
        let Value::Object(i) = value else { return None };
        let Object::Tensor(Tensor { storage, dtype, offset, shape, strides }) = self.objects[i] else { return None };
        let (shape, strides) = (sizes(&self.objects, shape)?.collect(), sizes(&self.objects, strides)?.collect());
        Some(View { storage, dtype, offset, shape, strides })
    }
}

/// The items of a value that is a tuple.
fn tuple<'o, 'a>(objects: &'o [Object<'a>], value: Value) -> Option<&'o [Value<'a>]> {
    match value {
        Value::Object(i) => match &objects[i] {
            Object::Tuple(items) => Some(items),
            Object::Dict(_) | Object::Storage(_) | Object::Tensor(_) => None,
        },
        _ => None,
    }
}

/// A number of elements.
fn size(value: Value) -> Option<usize> {
    match value {
        Value::Int(n) => usize::try_from(n).ok(),
        _ => None,
    }
}

/// The items of a value that is a tuple of numbers of elements, one for each axis of a tensor.
fn sizes(objects: &[Object], value: Value) -> Option<impl Iterator<Item = usize>> {
    let items = tuple(objects, value).filter(|items| items.len() <= MOST_AXES)?;
    items.iter().all(|&item| size(item).is_some()).then(|| items.iter().filter_map(|&item| size(item)))
}

struct Machine<'a, 'b> {
    bytes: &'a [u8],
    /// The pickle's entry: errors of the budget are about it.
    name: &'b str,
    budget: &'b mut Budget,
    at: usize,
    /// The byte of the opcode that runs: errors are about it.
    opcode_at: usize,
    stack: Vec<Value<'a>>,
    /// Heights of the stack; nothing below the last one can be taken.
    marks: Vec<usize>,
    memo: BTreeMap<usize, Value<'a>>,
    objects: Vec<Object<'a>>,
}

impl<'a> Machine<'a, '_> {
    fn fail<T>(&self, reason: impl Into<String>) -> Result<T, FormatError> {
        Err(FormatError::Pickle { offset: self.opcode_at, reason: reason.into() })
    }

    /// Runs one opcode; the value of the pickle when it was the last one.
    fn step(&mut self) -> Result<Option<Value<'a>>, FormatError> {
        self.opcode_at = self.at;
        match self.number::<1>()? as u8 {
            // PROTO, FRAME: nothing to do.
            0x80 => self.skip(1)?,
            0x95 => self.skip(8)?,
            b'.' => return self.pop().map(Some),
            b'(' => self.budget.push(self.name, &mut self.marks, self.stack.len())?,
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),

            // NONE, NEWTRUE, NEWFALSE, BINFLOAT, LONG4 and the bytes.
            b'N' | 0x88 | 0x89 => self.push(Value::Opaque)?,
            b'G' => self.opaque(8)?,
            0x8b | b'B' | b'T' => self.opaque_of::<4>()?,
            b'C' | b'U' => self.opaque_of::<1>()?,
            0x8e | 0x96 => self.opaque_of::<8>()?,
            // BININT, BININT1, BININT2, LONG1.
            b'J' => {
                let bits = self.number::<4>()? as u32;
                self.push(Value::Int(i64::from(bits.cast_signed())))?;
            }
            b'K' => self.integer::<1>()?,
            b'M' => self.integer::<2>()?,
            0x8a => {
                let length = self.number::<1>()? as usize;
                let value = long(self.take(length)?).map_or(Value::Opaque, Value::Int);
                self.push(value)?;
            }
            // BINUNICODE, SHORT_BINUNICODE, BINUNICODE8.
            b'X' => self.text::<4>()?,
            0x8c => self.text::<1>()?,
            0x8d => self.text::<8>()?,

            // Tuples: empty, from the mark, of one to three.
            b')' => self.push_tuple(Vec::new())?,
            b't' => {
                let items = self.pop_mark()?;
                self.push_tuple(items)?;
            }
            count @ 0x85..=0x87 => {
                let mut items = (0..count - 0x84).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                items.reverse();
                self.push_tuple(items)?;
            }
            // Lists: EMPTY_LIST, APPEND, APPENDS.
            b']' => self.push(Value::List)?,
            b'a' => {
                self.pop()?;
                self.list()?;
            }
            b'e' => {
                self.pop_mark()?;
                self.list()?;
            }
            // Dicts: EMPTY_DICT, SETITEM, SETITEMS.
            b'}' => self.push_object(Object::Dict(Vec::new()))?,
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set_items(&items)?;
            }

            // The memo: BINGET, LONG_BINGET, BINPUT, LONG_BINPUT, MEMOIZE.
            b'h' => self.get::<1>()?,
            b'j' => self.get::<4>()?,
            b'q' => self.put::<1>()?,
            b'r' => self.put::<4>()?,
            0x94 => {
                let top = self.top()?;
                self.keep(self.memo.len(), top)?;
            }

            // GLOBAL, INST: two lines. STACK_GLOBAL.
            opcode @ (b'c' | b'i') => {
                let (module, name) = (self.line()?, self.line()?);
                let global = self.global(module, name)?;
                if opcode == b'i' {
                    return self.fail(format!("it builds an instance of {module}.{name}, which no state dict needs"));
                }
                self.push(global)?;
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => {
                    let global = self.global(module, name)?;
                    self.push(global)?;
                }
                _ => return self.fail("a global is not named by two strings"),
            },
            b'R' => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.reduce(callable, arguments)?;
            }
            // BUILD: attributes. Those of a state dict are the versions of its modules.
            b'b' => {
                self.pop()?;
                self.set_items(&[])?;
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push_object(Object::Storage(storage))?;
            }
            other => return self.fail(format!("the opcode {other:#04x} is none that a state dict needs")),
        }
        Ok(None)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], FormatError> {
        let bytes = self.at.checked_add(length).and_then(|end| self.bytes.get(self.at..end));
        let Some(bytes) = bytes else { return self.fail("it is cut off") };
        self.at += length;
        Ok(bytes)
    }

    fn skip(&mut self, length: usize) -> Result<(), FormatError> {
        self.take(length).map(drop)
    }

    /// A little-endian number of `N` bytes.
    fn number<const N: usize>(&mut self) -> Result<u64, FormatError> {
        Ok(self.take(N)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// As many bytes as a number of `N` bytes says.
    fn counted<const N: usize>(&mut self) -> Result<&'a [u8], FormatError> {
        let length = self.number::<N>()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn opaque(&mut self, length: usize) -> Result<(), FormatError> {
        self.skip(length)?;
        self.push(Value::Opaque)
    }

    fn opaque_of<const N: usize>(&mut self) -> Result<(), FormatError> {
        self.counted::<N>()?;
        self.push(Value::Opaque)
    }

    fn integer<const N: usize>(&mut self) -> Result<(), FormatError> {
        let number = self.number::<N>()?;
        self.push(Value::Int(number as i64))
    }

    fn text<const N: usize>(&mut self) -> Result<(), FormatError> {
        let Ok(text) = std::str::from_utf8(self.counted::<N>()?) else {
            return self.fail("a string is not UTF-8");
        };
        self.push(Value::Text(text))
    }

    /// The bytes up to the end of the line.
    fn line(&mut self) -> Result<&'a str, FormatError> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else { return self.fail("it is cut off") };
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).or_else(|_| self.fail("a name is not UTF-8"))
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), FormatError> {
        self.budget.push(self.name, &mut self.stack, value)
    }

    fn push_object(&mut self, object: Object<'a>) -> Result<(), FormatError> {
        self.push(Value::Object(self.objects.len()))?;
        self.budget.push(self.name, &mut self.objects, object)
    }

    fn push_tuple(&mut self, items: Vec<Value<'a>>) -> Result<(), FormatError> {
        self.budget.spend(self.name, size_of_val(&items[..]))?;
        self.push_object(Object::Tuple(items.into_boxed_slice()))
    }

    fn top(&self) -> Result<Value<'a>, FormatError> {
        match self.stack.last() {
            Some(&top) if self.stack.len() > self.marks.last().copied().unwrap_or_default() => Ok(top),
            _ => self.fail("nothing is on its stack"),
        }
    }

    fn pop(&mut self) -> Result<Value<'a>, FormatError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Everything above the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Value<'a>>, FormatError> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.drain(mark..).collect()),
            None => self.fail("there is no mark on its stack"),
        }
    }

    fn get<const N: usize>(&mut self) -> Result<(), FormatError> {
        let index = self.number::<N>()? as usize;
        let Some(&value) = self.memo.get(&index) else { return self.fail(format!("nothing was kept as {index}")) };
        self.push(value)
    }

    fn put<const N: usize>(&mut self) -> Result<(), FormatError> {
        let index = self.number::<N>()? as usize;
        let top = self.top()?;
        self.keep(index, top)
    }

    fn keep(&mut self, index: usize, value: Value<'a>) -> Result<(), FormatError> {
        if self.memo.insert(index, value).is_none() {
            self.budget.spend(self.name, MEMO_BYTES)?;
        }
        Ok(())
    }

    /// That a list is on top.
    fn list(&self) -> Result<(), FormatError> {
        match self.top()? {
            Value::List => Ok(()),
            _ => self.fail("it appends to what is no list"),
        }
    }

    /// Puts keys and values into the dict on top.
    fn set_items(&mut self, items: &[Value<'a>]) -> Result<(), FormatError> {
        let (pairs, []) = items.as_chunks::<2>() else { return self.fail("a key of a dict has no value") };
        if let Value::Object(i) = self.top()?
            && let Object::Dict(entries) = &mut self.objects[i]
        {
            return pairs.iter().try_for_each(|&[key, value]| self.budget.push(self.name, entries, (key, value)));
        }
        self.fail("it sets entries of what is no dict")
    }

    /// The value of a name that is known.
    fn global(&self, module: &'a str, name: &'a str) -> Result<Value<'a>, FormatError> {
        let global = match (module, name) {
            ("collections", "OrderedDict") => Some(Global::OrderedDict),
            ("collections", "Counter") => Some(Global::Counter),
            ("torch", "Size") => Some(Global::Size),
            ("torch", "device") => Some(Global::Device),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Global::Tensor),
            ("torch._utils", "_rebuild_tensor_v3") => Some(Global::TensorOfType),
            ("torch._utils", "_rebuild_parameter") => Some(Global::Parameter),
            ("torch.storage", "UntypedStorage") => Some(Global::Storage(name)),
            ("torch", class) if class.ends_with("Storage") => Some(Global::Storage(class)),
            ("torch", name) => Dtype::from_torch(name).map(Global::Dtype),
            _ => None,
        };
        let refused = || FormatError::Global { name: format!("{module}.{name}"), offset: self.opcode_at };
        global.map(Value::Global).ok_or_else(refused)
    }

    /// What a global makes of its arguments.
    fn reduce(&mut self, callable: Value<'a>, arguments: Value<'a>) -> Result<(), FormatError> {
        let Value::Global(global) = callable else { return self.fail("it calls what is no function") };
        let Some(arguments) = tuple(&self.objects, arguments) else {
            return self.fail("the arguments of a call are no tuple");
        };
        let object = match (global, arguments) {
            (Global::OrderedDict | Global::Counter, []) => Some(Object::Dict(Vec::new())),
            (Global::Counter | Global::Parameter | Global::Size, &[content, ..]) => {
                return self.push(content);
            }
            (Global::Device, _) => return self.push(Value::Opaque),
            (Global::Tensor, [arguments @ .., _, _]) if arguments.len() == 4 => {
                self.tensor(arguments, None, None).map(Object::Tensor)
            }
            (Global::Tensor, [arguments @ .., _, _, metadata]) if arguments.len() == 4 => {
                self.tensor(arguments, None, Some(*metadata)).map(Object::Tensor)
            }
            (Global::TensorOfType, [arguments @ .., _, _, Value::Global(Global::Dtype(dtype))])
                if arguments.len() == 4 =>
            {
                self.tensor(arguments, Some(*dtype), None).map(Object::Tensor)
            }
            (Global::TensorOfType, [arguments @ .., _, _, Value::Global(Global::Dtype(dtype)), metadata])
                if arguments.len() == 4 =>
            {
                self.tensor(arguments, Some(*dtype), Some(*metadata)).map(Object::Tensor)
            }
            _ => None,
        };
        let Some(object) = object else {
            return self.fail(format!("it gives {global:?} other arguments than a state dict does"));
        };
        self.push_object(object)
    }

    /// The tensor of a storage, an offset, extents and strides. `metadata` says that the numbers are stored negated or conjugated, or nothing.
    fn tensor(&self, arguments: &[Value<'a>], dtype: Option<Dtype>, metadata: Option<Value<'a>>) -> Option<Tensor<'a>> {
        let plain = match metadata {
            None | Some(Value::Opaque) => true,
            Some(Value::Object(i)) => matches!(&self.objects[i], Object::Dict(entries) if entries.is_empty()),
            Some(Value::List | Value::Int(_) | Value::Text(_) | Value::Global(_)) => false,
        };
        let &[Value::Object(storage), offset, shape, strides] = arguments else { return None };
        let Object::Storage(storage) = self.objects[storage] else { return None };
        let axes = |value| sizes(&self.objects, value).map(Iterator::count);
        let (offset, same) = (size(offset)?, axes(shape)? == axes(strides)?);
        (plain && same).then_some(Tensor { storage, dtype, offset, shape, strides })
    }

    /// The storage of a persistent id: `("storage", class, key, device, elements)`.
    fn storage(&self, id: Value<'a>) -> Result<Storage<'a>, FormatError> {
        match tuple(&self.objects, id) {
            Some(&[Value::Text("storage"), Value::Global(Global::Storage(class)), Value::Text(key), ..]) => {
                Ok(Storage { class, key })
            }
            _ => self.fail("it refers to what is no storage"),
        }
    }
}

/// An integer in two's complement, of so many bytes; nothing beyond 64 bits.
fn long(bytes: &[u8]) -> Option<i64> {
    let mut extended = [if bytes.last().is_some_and(|&last| last >= 128) { 255 } else { 0 }; 8];
    extended.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(extended))
}
