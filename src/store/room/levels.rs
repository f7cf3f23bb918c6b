//! Persistent maps of numbers, stored as deltas on levels.
//!
//! The maps form trees: each is made from a parent by a few changes. A map at depth *d* stores what
//! differs from its ancestor at depth *d & (d - 1)*, its base; so a map of depth *d* is as many
//! bases away from its root as *d* has bits set, and over a chain of *n* maps of one change each
//! the stored changes are *n · log₂(n) / 2* in all.
//!
//! Invariant: entries of a delta are sorted by key, and no key stands twice. The value [`REMOVED`]
//! removes a key.

use std::sync::Arc;

use crate::Error;

/// The value that says that a key is not there any more. No number is 0.
pub const REMOVED: i64 = 0;

/// What differs: key and value.
pub type Delta = Arc<[(i64, i64)]>;

/// One stored map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub number: i64,
    /// The number of its base; none at depth 0.
    pub base: Option<i64>,
    /// How many parents it has above it.
    pub depth: i64,
    /// What differs from its base.
    pub delta: Delta,
}

/// A map with all its bases, itself first and the root last.
pub type Path = Vec<Arc<Node>>;

/// The depth of the base of a map at this depth.
pub fn base_depth(depth: i64) -> i64 {
    depth & (depth - 1)
}

impl Node {
    /// A first map.
    pub fn root(number: i64, entries: Vec<(i64, i64)>) -> Self {
        Self { number, base: None, depth: 0, delta: sorted(entries) }
    }

    /// A map made from a parent, given the parent's path, by some changes.
    pub fn child(number: i64, parent: &[Arc<Self>], changes: Vec<(i64, i64)>) -> Self {
        let Some(first) = parent.first() else { return Self::root(number, changes) };
        let depth = first.depth + 1;
        let base = base_depth(depth);
        let mut delta = sorted(changes);
        let mut base_number = None;
        for node in parent {
            if node.depth == base {
                base_number = Some(node.number);
                break;
            }
            delta = merge(&node.delta, &delta);
        }
        if base == 0 {
            // Relative to a root the deltas grow to the size of the map; there it is as cheap to
            // leave out what was removed only if the root never had it, which is not worth looking
            // up.
            debug_assert!(base_number.is_some(), "a path ends in its root");
        }
        Self { number, base: base_number, depth, delta }
    }

    /// The path of a child of a map with this path.
    pub fn path_of(node: &Arc<Self>, parent: &[Arc<Self>]) -> Path {
        let mut path = vec![Arc::clone(node)];
        let rest = parent.iter().skip_while(|above| Some(above.number) != node.base);
        path.extend(rest.cloned());
        path
    }
}

/// The value under a key.
pub fn get(path: &[Arc<Node>], key: i64) -> Option<i64> {
    for node in path {
        if let Ok(place) = node.delta.binary_search_by_key(&key, |(key, _)| *key) {
            let value = node.delta[place].1;
            return (value != REMOVED).then_some(value);
        }
    }
    None
}

/// Changes on top of others: where both have a key the upper one counts.
pub fn merge(lower: &[(i64, i64)], upper: &[(i64, i64)]) -> Delta {
    let mut out = Vec::with_capacity(lower.len() + upper.len());
    let (mut lower, mut upper) = (lower.iter().peekable(), upper.iter().peekable());
    while let (Some(below), Some(above)) = (lower.peek(), upper.peek()) {
        if below.0 < above.0 {
            out.extend(lower.next());
        } else {
            if below.0 == above.0 {
                lower.next();
            }
            out.extend(upper.next());
        }
    }
    out.extend(lower);
    out.extend(upper);
    out.into()
}

fn sorted(mut entries: Vec<(i64, i64)>) -> Delta {
    // Stable, so that of several changes of one key the last one counts.
    entries.sort_by_key(|(key, _)| *key);
    let mut out: Vec<(i64, i64)> = Vec::with_capacity(entries.len());
    for entry in entries {
        match out.last_mut() {
            Some(last) if last.0 == entry.0 => *last = entry,
            _ => out.push(entry),
        }
    }
    out.into()
}

/// A delta as bytes: each key and value as its difference from the one before, in zigzag and base
/// 128.
pub fn encode(delta: &[(i64, i64)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(delta.len() * 5);
    let (mut key_before, mut value_before) = (0_i64, 0_i64);
    for (key, value) in delta {
        put(&mut out, key.wrapping_sub(key_before));
        put(&mut out, value.wrapping_sub(value_before));
        (key_before, value_before) = (*key, *value);
    }
    out
}

/// A delta from bytes.
pub fn decode(mut bytes: &[u8]) -> Result<Delta, Error> {
    let mut out = Vec::new();
    let (mut key, mut value) = (0_i64, 0_i64);
    while !bytes.is_empty() {
        key = key.wrapping_add(take(&mut bytes)?);
        value = value.wrapping_add(take(&mut bytes)?);
        out.push((key, value));
    }
    Ok(out.into())
}

/// A list of numbers as bytes, in the order given.
pub fn encode_list(numbers: impl IntoIterator<Item = i64>) -> Vec<u8> {
    let mut out = Vec::new();
    for number in numbers {
        put(&mut out, number);
    }
    out
}

/// A list of numbers from bytes.
pub fn decode_list(mut bytes: &[u8]) -> Result<Vec<i64>, Error> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        out.push(take(&mut bytes)?);
    }
    Ok(out)
}

fn put(out: &mut Vec<u8>, number: i64) {
    let mut rest = (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push((rest & 0x7f) as u8);
}

fn take(bytes: &mut &[u8]) -> Result<i64, Error> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let Some((byte, rest)) = bytes.split_first() else { break };
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()));
        }
    }
    Err(Error::corrupt("a packed number is cut off"))
}

#[cfg(test)]
#[path = "levels_test.rs"]
mod tests;
