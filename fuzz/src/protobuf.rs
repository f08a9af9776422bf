//! Changes of protocol buffers that leave them protocol buffers: all lengths are right again.

use crate::random::Random;

/// A field and its number.
type Field = (u64, Value);

#[derive(Clone)]
enum Value {
    Integer(u64),
    Eight([u8; 8]),
    Four([u8; 4]),
    Bytes(Vec<u8>),
    /// Bytes that can be read as fields.
    Message(Vec<Field>),
}

/// A few of a message's fields replaced, removed, repeated or exchanged. Nothing where it is no message, or would become longer than `max` bytes.
pub fn mutate(bytes: &[u8], max: usize, seed: u32) -> Option<Vec<u8>> {
    let mut message = fields(bytes)?;
    let mut random = Random::new(seed);
    for _ in 0..=random.below(3) {
        let count = count(&message);
        if count == 0 {
            return None;
        }
        let other = with_field(&mut message, &mut random.below(count), &mut |fields, i| fields[i].clone())?;
        with_field(&mut message, &mut random.below(count), &mut |fields, i| change(fields, i, &other, &mut random))?;
    }
    let mut changed = Vec::new();
    write(&message, &mut changed);
    (changed.len() <= max).then_some(changed)
}

fn change(fields: &mut Vec<Field>, i: usize, other: &Field, random: &mut Random) {
    let j = random.below(fields.len());
    match random.below(8) {
        0 => drop(fields.remove(i)),
        1 => fields.insert(j, fields[i].clone()),
        2 => fields.swap(i, j),
        3 => fields.insert(i, other.clone()),
        4 => fields[i].1 = other.1.clone(),
        _ => match &mut fields[i].1 {
            Value::Integer(n) => *n = integer(*n, random),
            Value::Eight(bytes) => bytes[random.below(8)] = random.below(256) as u8,
            Value::Four(bytes) => bytes[random.below(4)] = random.below(256) as u8,
            Value::Bytes(bytes) => {
                let at = random.below(bytes.len().max(1));
                match random.below(4) {
                    0 => bytes.truncate(at),
                    1 => bytes.push(random.below(256) as u8),
                    _ if bytes.is_empty() => bytes.extend([0; 4]),
                    2 => bytes.extend_from_within(at..),
                    _ => bytes[at] = random.below(256) as u8,
                }
            }
            Value::Message(_) => fields[i] = other.clone(),
        },
    }
}

fn integer(n: u64, random: &mut Random) -> u64 {
    match random.below(8) {
        0..3 => random.below(17) as u64,
        3 => n.wrapping_add(1),
        4 => n.wrapping_sub(1),
        5 => n.wrapping_mul(2),
        6 => (random.below(4) as u64).wrapping_neg(),
        _ => 1 << random.below(64),
    }
}

fn fields(mut bytes: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Value::Integer(varint(&mut bytes)?),
            1 => Value::Eight(*bytes.split_off(..8)?.first_chunk()?),
            5 => Value::Four(*bytes.split_off(..4)?.first_chunk()?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let content = bytes.split_off(..length)?;
                match self::fields(content) {
                    Some(fields) if !fields.is_empty() => Value::Message(fields),
                    _ => Value::Bytes(content.to_vec()),
                }
            }
            _ => return None,
        };
        fields.push((key >> 3, value));
    }
    Some(fields)
}

fn write(fields: &[Field], bytes: &mut Vec<u8>) {
    for (number, value) in fields {
        let (kind, content) = match value {
            Value::Integer(n) => {
                write_varint(number << 3, bytes);
                write_varint(*n, bytes);
                continue;
            }
            Value::Eight(content) => (1, content.to_vec()),
            Value::Four(content) => (5, content.to_vec()),
            Value::Bytes(content) => (2, content.clone()),
            Value::Message(fields) => {
                let mut content = Vec::new();
                write(fields, &mut content);
                (2, content)
            }
        };
        write_varint(number << 3 | kind, bytes);
        if kind == 2 {
            write_varint(content.len() as u64, bytes);
        }
        bytes.extend(content);
    }
}

/// A number of seven bits a byte.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn write_varint(mut n: u64, bytes: &mut Vec<u8>) {
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
}

/// How many fields a message has, those of its messages among them.
fn count(fields: &[Field]) -> usize {
    let inside = |(_, value): &Field| if let Value::Message(fields) = value { count(fields) } else { 0 };
    fields.len() + fields.iter().map(inside).sum::<usize>()
}

/// Gives the field of that place, in depth-first order, to `work`, as an index into the message that has it.
fn with_field<T>(
    fields: &mut Vec<Field>,
    place: &mut usize,
    work: &mut impl FnMut(&mut Vec<Field>, usize) -> T,
) -> Option<T> {
    for i in 0..fields.len() {
        if *place == 0 {
            return Some(work(fields, i));
        }
        *place -= 1;
        if let Value::Message(inside) = &mut fields[i].1
            && let Some(done) = with_field(inside, place, work)
        {
            return Some(done);
        }
    }
    None
}
