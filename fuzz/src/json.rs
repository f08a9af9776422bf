//! Changes of JSON that leave it JSON.

use serde_json::{Value, json};

use crate::random::Random;

/// A few of a document's values replaced, removed, repeated or exchanged. Nothing where it is no JSON, or would become longer than `max` bytes.
pub fn mutate(json: &[u8], max: usize, seed: u32) -> Option<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(json).ok()?;
    let mut random = Random::new(seed);
    for _ in 0..=random.below(3) {
        let count = count(&document);
        let other = value_at(&mut document, &mut random.below(count))?.clone();
        let value = value_at(&mut document, &mut random.below(count))?;
        change(value, other, &mut random);
    }
    let json = serde_json::to_vec(&document).ok()?;
    (json.len() <= max).then_some(json)
}

/// The same of the header of a packed file, with the tensors behind it where they then belong.
pub fn mutate_packed(file: &[u8], max: usize, seed: u32) -> Option<Vec<u8>> {
    const PREAMBLE: usize = 32;
    let length = u32::from_le_bytes(*file.get(12..)?.first_chunk()?) as usize;
    let end = PREAMBLE.checked_add(length)?;
    let json = mutate(file.get(PREAMBLE..end)?, max, seed)?;
    let mut changed = file[..PREAMBLE].to_vec();
    changed[12..16].copy_from_slice(&(json.len() as u32).to_le_bytes());
    changed.extend(json);
    changed.resize(changed.len().next_multiple_of(64), 0);
    changed.extend(file.get(end.next_multiple_of(64)..).unwrap_or_default());
    (changed.len() <= max).then_some(changed)
}

fn change(value: &mut Value, other: Value, random: &mut Random) {
    match value {
        Value::Number(number) if random.below(8) != 0 => {
            *value = self::number(number.as_f64().unwrap_or_default(), random)
        }
        Value::Bool(it) => *it = !*it,
        Value::Array(items) if !items.is_empty() && random.below(4) != 0 => {
            let (i, j) = (random.below(items.len()), random.below(items.len()));
            match random.below(4) {
                0 => drop(items.remove(i)),
                1 => items.insert(j, items[i].clone()),
                2 => items.swap(i, j),
                _ => items.push(other),
            }
        }
        Value::Object(fields) if !fields.is_empty() && random.below(4) == 0 => {
            let key = fields.keys().nth(random.below(fields.len())).cloned().unwrap_or_default();
            fields.remove(&key);
        }
        _ => *value = other,
    }
}

fn number(n: f64, random: &mut Random) -> Value {
    let (int, wide) = (n as i64, [255, 256, 65_536, i64::from(i32::MAX), 1 << 31, 1 << 32, 1 << 62, i64::MAX]);
    match random.below(12) {
        0..3 => json!(random.below(10)),
        3 => json!(int.wrapping_add(1)),
        4 => json!(int.wrapping_sub(1)),
        5 => json!(int.wrapping_mul(2)),
        6 => json!(int / 2),
        7 => json!(wide[random.below(wide.len())]),
        8 => json!(u64::MAX),
        9 => json!(-n),
        10 => json!([1e300, 1e-300, -0.0, 0.5, 1e38][random.below(5)]),
        _ => json!(random.below(4096)),
    }
}

/// How many values a document has, itself among them.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// The value of that place, in depth-first order.
fn value_at<'a>(value: &'a mut Value, place: &mut usize) -> Option<&'a mut Value> {
    if *place == 0 {
        return Some(value);
    }
    *place -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| value_at(item, place)),
        Value::Object(fields) => fields.values_mut().find_map(|field| value_at(field, place)),
        _ => None,
    }
}
